//! An agent that comes back at another address. Docker gives a restarted container any free one, and a master refuses an
//! agent that claims its old id from elsewhere ("different IP / hostname", src/master/master.cpp), again and again.
//!
//! The old id would only serve to recover tasks, and they ended with the container. So the agent becomes a new one, in the
//! way that Mesos' own message gives operators: `rm -f WORK_DIR/meta/slaves/latest`.

use dind_system::Root;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Where we note the address that the agent in a work directory had.
const NOTE: &str = ".dind-address";

/// The address of this container's host name, with which an agent registers.
#[must_use]
pub fn own(root: &Root) -> Option<String> {
    let name = root.read("/proc/sys/kernel/hostname").ok()?;
    of_host(&root.read("/etc/hosts").ok()?, name.trim())
}

fn of_host(hosts: &str, name: &str) -> Option<String> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.to_owned();
        words.any(|word| word == name).then_some(address)
    };
    hosts.lines().find_map(line)
}

/// Notes the address, and makes the agent of a work directory a new one where it had another. Returns that other address.
///
/// # Errors
/// The work directory cannot be written.
pub fn reconcile(work_dir: &Path, address: &str) -> io::Result<Option<String>> {
    fs::create_dir_all(work_dir)?;
    let note = work_dir.join(NOTE);
    let before = match fs::read_to_string(&note) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if before.as_deref() == Some(address) {
        return Ok(None);
    }
    if before.is_some() {
        match fs::remove_file(work_dir.join("meta/slaves/latest")) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::write(&note, format!("{address}\n"))?;
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_address_of_the_host_name() {
        let hosts = "127.0.0.1\tlocalhost\n10.9.0.2 node node.lan # ours\n10.9.0.3\tother\n";
        assert_eq!(of_host(hosts, "node").as_deref(), Some("10.9.0.2"));
        assert_eq!(of_host(hosts, "lan"), None);
    }

    #[test]
    fn an_agent_at_another_address_is_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let latest = directory.path().join("meta/slaves/latest");
        fs::create_dir_all(latest.parent().unwrap()).unwrap();
        symlink("abc-S0", &latest).unwrap();
        for (address, before, there) in
            [("10.9.0.2", None, true), ("10.9.0.2", None, true), ("10.9.0.3", Some("10.9.0.2"), false)]
        {
            assert_eq!(reconcile(directory.path(), address).unwrap().as_deref(), before);
            assert_eq!(latest.is_symlink(), there, "{address}");
        }
        assert_eq!(reconcile(directory.path(), "10.9.0.3").unwrap(), None);
    }
}
