//! Children: what is known of one, and what one does between fork and exec.

use nix::libc;
use nix::unistd::{Pid, tcsetpgrp};
use std::io;
use std::os::fd::BorrowedFd;

/// A child that was spawned. Its number may come to mean another process after its end; this never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChildId {
    pub(crate) serial: u64,
    pub(crate) pid: Pid,
}

impl ChildId {
    /// Its number, for people and records. To signal it, ask [`crate::supervisor::Supervisor::is_running`] first.
    #[must_use]
    pub fn pid(self) -> Pid {
        self.pid
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status.
    Exited(u8),
    /// This signal ended it.
    Signaled(i32),
}

impl ExitStatus {
    /// The status a shell would give: the child's own, or 128 + n for signal n.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Signaled(number) => 128u8.saturating_add(u8::try_from(number).unwrap_or(127)),
        }
    }
}

/// The process group and session of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnMode {
    /// In a process group of its own, which gets the terminal, if there is one.
    Foreground,
    /// In a session of its own that has the terminal at its stdin, if there is one.
    Terminal,
    /// In a session of its own: Ctrl-C at the terminal is not for it, and the kernel kills it when we die.
    Session,
}

/// The status for a command that cannot be executed, as shells and Docker give it: 127 not found, 126 otherwise.
#[must_use]
pub fn exec_status(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}

/// Marks all descriptors above 2. Runs in the child.
pub(crate) fn close_on_exec() {
    const ALL: libc::c_uint = libc::c_uint::MAX;
    // SAFETY: closes nothing, marks only; both calls take integers and touch no memory.
    #[allow(unsafe_code)]
    unsafe {
        if libc::close_range(3, ALL, libc::CLOSE_RANGE_CLOEXEC as i32) != 0 {
            // Kernels before 5.11 do not know the flag, seccomp profiles of that age not the call. Ours are marked
            // anyway; what we were started with lies low.
            for fd in 3..1024 {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
    }
}

/// Makes the terminal at stdin that of the calling process' new session (tty_ioctl(4), `TIOCSCTTY`). One that another session has can
/// only be taken by root of the machine. Runs in the child.
pub(crate) fn own_terminal() {
    for force in [0, 1] {
        // SAFETY: takes an integer and touches no memory; where stdin is no terminal, nothing happens.
        #[allow(unsafe_code)]
        if unsafe { libc::ioctl(0, libc::TIOCSCTTY, force) } == 0 {
            return;
        }
    }
}

/// Gives the terminal to the calling process' group. Runs in the child, so that it holds before the program starts;
/// SIGTTOU is blocked there. Without a terminal, or with one that is not ours to give, nothing happens.
pub(crate) fn take_terminal() {
    let group = nix::unistd::getpgrp();
    // SAFETY: descriptor 0 is open: the runtime of Rust sees to it at start.
    #[allow(unsafe_code)]
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    if tcsetpgrp(stdin, group).is_err() {
        use nix::fcntl::{OFlag, open};
        if let Ok(tty) = open(c"/dev/tty", OFlag::O_RDWR | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty()) {
            let _ = tcsetpgrp(tty, group);
        }
    }
}
