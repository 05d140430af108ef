//! The terminal: the command's process group gets it, and whoever started the init gets it back.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use std::os::fd::OwnedFd;

/// The controlling terminal and its foreground process group, where that is the init's own.
#[derive(Debug)]
pub(super) struct Terminal(Option<(OwnedFd, Pid)>);

impl Terminal {
    /// Remembers which process group has the terminal.
    pub(super) fn remember() -> Self {
        let ours = || {
            let tty =
                open("/dev/tty", OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty()).ok()?;
            let group = tcgetpgrp(&tty).ok()?;
            (group == getpgrp()).then_some((tty, group))
        };
        Self(ours())
    }

    /// Gives it back. A shell without job control does not take it back itself, and would be stopped at its next read.
    /// The init is in the background by now, where this call works because SIGTTOU is blocked (tcsetpgrp(3)).
    pub(super) fn give_back(&self) {
        if let Some((tty, group)) = &self.0 {
            let _ = tcsetpgrp(tty, *group);
        }
    }
}
