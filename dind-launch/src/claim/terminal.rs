//! The claimer's terminal, which the command is to have.

use nix::libc;
use nix::unistd::{Pid, getpid, getsid};
use std::io::{self, IsTerminal};

/// Gives up the controlling terminal, so that the command's session can have it (tty_ioctl(4), `TIOCNOTTY`). `docker exec --tty` makes
/// its process the leader of the terminal's session; from another's session, only root of the machine can take it.
/// Returns whether it did: then the kernel has sent us HUP and CONT, as to whoever loses a terminal.
pub(super) fn give_up() -> bool {
    if !io::stdin().is_terminal() || getsid(Some(Pid::from_raw(0))).ok() != Some(getpid()) {
        return false;
    }
    // SAFETY: takes no argument and touches no memory. The signals that it sends are blocked by now.
    #[allow(unsafe_code)]
    let done = unsafe { libc::ioctl(0, libc::TIOCNOTTY) };
    done == 0
}
