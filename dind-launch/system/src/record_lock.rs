//! Record locks on whole files (fcntl(2), "Advisory record locking").
//!
//! F_GETLK finds the holder without a try to take the lock, by which a process that takes it at the same moment would be
//! refused; no child inherits it; and NFS has it. The process loses it with *any* descriptor of the file that it closes, so
//! nothing else in the process may open the file.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::unistd::Pid;
use std::fs::File;
use std::io;

/// Takes the lock for this process, as long as it lives and keeps the file open. False: another process has it.
///
/// # Errors
/// The file is not open for writing, or its file system has no such locks.
pub fn take(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_SETLK(&whole_file())) {
        Ok(_) => Ok(true),
        Err(Errno::EACCES | Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The other process that has the lock. Its pid is 0 where it runs in a PID namespace that we do not see.
///
/// # Errors
/// The file system has no such locks.
pub fn holder(file: &File) -> io::Result<Option<Pid>> {
    let mut lock = whole_file();
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    let is_free = i32::from(lock.l_type) == libc::F_UNLCK;
    Ok((!is_free).then(|| Pid::from_raw(lock.l_pid)))
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
