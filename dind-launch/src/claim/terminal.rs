//! The claimer's terminal, which the command is to have.

use nix::libc;
use nix::unistd::{Pid, getpid, getsid};
use std::io::{self, IsTerminal};

/// Gives up the controlling terminal, so that the command's session can have it (tty_ioctl(4), `TIOCNOTTY`). `docker exec --tty` makes
/// its process the leader of the terminal's session; from another's session, only root of the machine can take it.
pub(super) fn give_up() {
    if !io::stdin().is_terminal() || getsid(Some(Pid::from_raw(0))).ok() != Some(getpid()) {
        return;
    }
    // SAFETY: takes no argument and touches no memory. The HUP that it sends to our own group is blocked, and dropped below.
    #[allow(unsafe_code)]
    unsafe {
        libc::ioctl(0, libc::TIOCNOTTY);
    }
}
