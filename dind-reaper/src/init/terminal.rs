//! The terminal, taken back: the command gets it for its own process group, and whoever started us wants it again.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use std::os::fd::OwnedFd;

/// The controlling terminal, if it is ours at the moment.
#[derive(Debug)]
pub struct Terminal(Option<(OwnedFd, Pid)>);

impl Terminal {
    /// Remembers whose the terminal is.
    #[must_use]
    pub fn remember() -> Self {
        let ours = || {
            let tty =
                open("/dev/tty", OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty()).ok()?;
            let group = tcgetpgrp(&tty).ok()?;
            (group == getpgrp()).then_some((tty, group))
        };
        Self(ours())
    }

    /// Gives it back. A shell without job control does not do so itself, and would be stopped at its next read.
    /// We are in the background by now; that SIGTTOU is blocked lets the call through (tcsetpgrp(3)).
    pub fn give_back(&self) {
        if let Some((tty, group)) = &self.0 {
            let _ = tcsetpgrp(tty, *group);
        }
    }
}
