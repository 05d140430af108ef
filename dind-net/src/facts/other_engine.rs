//! Another engine in this network namespace: two of them take the same addresses, ports and firewall chains.
//!
//! `/proc/net/unix` lists the sockets of the namespace, whichever PID or mount namespace they were made in. dockerd listens at one
//! in `libnetwork` below its exec root for as long as it runs (moby, libnetwork/sandbox_externalkey_unix.go). Its API
//! proves nothing, since a proxy may listen at any `docker.sock`; but in the machine's own namespace systemd does so for an engine
//! that is yet to start.

use dind_system::{Root, proc};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The sockets of the namespace (unix(7); the columns are those of net/unix/af_unix.c).
const SOCKETS: &str = "/proc/net/unix";
/// `__SO_ACCEPTCON` in the column of flags.
const LISTENS: &str = "00010000";

/// The socket of an engine that is not ours, as its owner calls it. Ours is one whose process shares our mount namespace.
///
/// # Errors
/// Those of reading `/proc`.
pub fn observe(root: &Root, host_network: bool) -> io::Result<Option<String>> {
    let table = root.read_opt(SOCKETS)?.unwrap_or_default();
    let mut engines = engines(&table, host_network);
    if engines.is_empty() {
        return Ok(None);
    }
    for pid in root.list("/proc")?.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        match owned(root, pid) {
            Ok(sockets) => engines.retain(|(inode, _)| !sockets.contains(inode)),
            // Without privilege nobody may ask: then a plan hopes, and apply finds out.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !is_root(root) => return Ok(None),
            // It has ended meanwhile; or root may not ask, as of what has more rights than we: it is not ours.
            Err(_) => {}
        }
    }
    Ok(engines.into_iter().next().map(|(_, path)| path))
}

fn is_root(root: &Root) -> bool {
    proc::status(root).is_ok_and(|status| status.euid == Some(0))
}

/// Inode and path of each engine's socket.
fn engines(table: &str, host_network: bool) -> Vec<(String, String)> {
    let engine = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, _, _, LISTENS, _, _, inode, path] = words[..] else { return None };
        let (directory, name) = path.rsplit_once('/')?;
        let controller = directory.ends_with("/libnetwork") && name.ends_with(".sock");
        let awaited = host_network && ["/run/docker.sock", "/var/run/docker.sock"].contains(&path);
        (controller || awaited).then(|| (inode.to_owned(), path.to_owned()))
    };
    table.lines().filter_map(engine).collect()
}

/// The inodes of the sockets of a process in our mount namespace.
fn owned(root: &Root, pid: &str) -> io::Result<Vec<String>> {
    let namespace = |pid: &str| root.read_link(Path::new("/proc").join(pid).join("ns/mnt"));
    if namespace(pid)? != namespace("self")? {
        return Ok(Vec::new());
    }
    let mut sockets = Vec::new();
    for entry in fs::read_dir(root.path(format!("/proc/{pid}/fd")))? {
        let Ok(target) = fs::read_link(entry?.path()) else { continue };
        let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
        sockets.extend(inode.map(str::to_owned));
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_known_by_its_sockets() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0: 2 0 00010000 0001 01 17 /run/docker/libnetwork/0a1b.sock\n\
            0: 2 0 00000000 0001 03 18 /run/docker/libnetwork/connected.sock\n\
            0: 2 0 00010000 0001 01 19 /var/run/docker.sock\n\
            0: 2 0 00010000 0001 01 20 /proxy/docker.sock\n\
            0: 2 0 00010000 0001 01 21\n\
            0: 2 0 00010000 0001 01 22 @abstract\n";
        let found = |host| engines(table, host).into_iter().map(|(inode, _)| inode).collect::<Vec<_>>();
        assert_eq!(found(false), ["17"]);
        assert_eq!(found(true), ["17", "19"]);
    }

    #[test]
    fn an_engine_whose_process_is_not_ours_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let proc = directory.path().join("proc");
        fs::create_dir_all(proc.join("net")).unwrap();
        let table = "0: 2 0 00010000 0001 01 17 /run/docker/libnetwork/0a1b.sock\n";
        fs::write(proc.join("net/unix"), table).unwrap();
        for (pid, namespace) in [("self", "mnt:[1]"), ("7", "mnt:[2]"), ("8", "mnt:[1]")] {
            let process = proc.join(pid);
            fs::create_dir_all(process.join("ns")).unwrap();
            fs::create_dir_all(process.join("fd")).unwrap();
            std::os::unix::fs::symlink(namespace, process.join("ns/mnt")).unwrap();
        }
        let other = Some("/run/docker/libnetwork/0a1b.sock".to_owned());
        std::os::unix::fs::symlink("socket:[17]", proc.join("7/fd/3")).unwrap();
        assert_eq!(observe(&root, false).unwrap(), other);
        std::os::unix::fs::symlink("socket:[17]", proc.join("8/fd/3")).unwrap();
        assert_eq!(observe(&root, false).unwrap(), None);
    }
}
