//! What the node's first process does before it becomes the launcher: it is root of the new namespaces, and makes a container of
//! them. Nobody else is in there yet.

use super::files::{COPIES, Files};
use super::{cgroups, dns};
use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the two sides say to each other: that it is the other's turn.
pub(super) const TURN: [u8; 1] = [1];

/// What helps where the kernel does not let /proc be mounted.
const UNMASK: &str =
    "run the container with --security-opt systempaths=unconfined; with podman, --security-opt unmask=ALL";

/// Makes the container, and becomes the launcher. Returns only if that fails.
pub(super) fn enter(outside: &mut UnixStream, files: &Files, is_shifted: bool, words: &[OsString]) -> Fault {
    match make(outside, files, is_shifted) {
        Ok(()) => {
            let (program, args) =
                words.split_first().map_or((OsString::new(), words), |(first, rest)| (first.clone(), rest));
            let error = Command::new(&program).args(args).exec();
            fault::INIT_FAILED.cannot("execute", Path::new(&program).display(), error).hint("report it")
        }
        Err(fault) => fault,
    }
}

fn make(outside: &mut UnixStream, files: &Files, is_shifted: bool) -> Result<(), Fault> {
    let failed = |what: &'static str| {
        move |error: &dyn std::fmt::Display| fault::NAMESPACES_REFUSED.failed(what, error).hint("report it")
    };
    wait(outside).map_err(|error| failed("the launcher outside has ended")(&error))?;
    become_root().map_err(|error| failed("cannot become root of the namespaces")(&error))?;
    // The children's parent may be no first process, whose end is that of all.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| failed("cannot follow the launcher's end")(&error))?;
    mount_proc()?;
    cgroups::mount_own().map_err(|error| failed("cannot mount the control groups")(&error))?;
    if is_shifted {
        mount_copies(files).map_err(|(path, error)| {
            let fault = fault::NAMESPACES_REFUSED.cannot("mount the node's own", path.display(), error);
            fault.hint("report it")
        })?;
    }
    mount_name_servers().map_err(|error| failed("cannot mount /etc/resolv.conf")(&error))?;
    outside
        .write_all(&TURN)
        .and_then(|()| wait(outside))
        .map_err(|error| failed("the launcher outside has ended")(&error))
}

fn wait(outside: &mut UnixStream) -> io::Result<()> {
    outside.read_exact(&mut [0])
}

fn become_root() -> nix::Result<()> {
    setgroups(&[])?;
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    // The change took it away, and with it the launcher's way here through /proc (proc(5), `/proc/pid/root`).
    nix::sys::prctl::set_dumpable(true)
}

/// The processes of the new namespace. The kernel refuses it where some of the container's own /proc is covered, by mounts that
/// belong to the namespace outside (`mnt_already_visible`, fs/namespace.c): what they hide would be seen.
fn mount_proc() -> Result<(), Fault> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(|error| {
        let hint = if error == Errno::EPERM { UNMASK } else { "report it" };
        fault::NAMESPACES_REFUSED.cannot("mount", "/proc", error).hint(hint)
    })
}

/// Mounts the copies over their originals, with everything that is mounted in those.
fn mount_copies(files: &Files) -> Result<(), (PathBuf, io::Error)> {
    let copy = |path: &Path| Path::new(COPIES).join(path.strip_prefix("/").unwrap_or(path));
    let bind = |from: &Path, to: &Path| {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(from), to, None::<&str>, flags, None::<&str>)
            .map_err(|error| (to.to_owned(), error.into()))
    };
    for point in &files.mounts {
        let to = copy(point);
        // A restart may find a mount that the container has got meanwhile.
        place(point, &to).map_err(|error| (to.clone(), error))?;
        bind(point, &to)?;
    }
    files
        .directories
        .iter()
        .filter(|directory| copy(directory).exists())
        .try_for_each(|directory| bind(&copy(directory), directory))
}

/// The node's own /etc/resolv.conf, where it has one.
fn mount_name_servers() -> io::Result<()> {
    let own = dns::file_of_node();
    if own.exists() {
        place(&own, Path::new(dns::FILE))?;
        mount(Some(&own), dns::FILE, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    }
    Ok(())
}

/// What a mount needs to be mounted on.
fn place(original: &Path, copy: &Path) -> io::Result<()> {
    if copy.exists() {
        return Ok(());
    }
    if original.is_dir() {
        return fs::create_dir_all(copy);
    }
    copy.parent().map_or(Ok(()), fs::create_dir_all)?;
    File::create(copy).map(drop)
}
