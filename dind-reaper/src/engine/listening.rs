//! Whether something listens at the engine's socket, and the errors where nothing does.

use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::os::fd::AsRawFd;
use std::path::Path;

/// Checks that something listens at the socket. Never blocks, not even on an engine that no longer accepts connections:
/// that one gives EAGAIN, and counts as listening.
///
/// # Errors
/// Those of connect(2).
pub fn check_listening(path: &Path) -> Result<(), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The error of a socket at which nothing listens, or which may not be opened.
pub(super) fn not_listening(socket: &Path, errno: Errno) -> Fault {
    match errno {
        Errno::EACCES | Errno::EPERM => {
            let fault = fault::ENGINE_DENIED.cannot("open", url(socket), errno.desc());
            fault.hint("run as root, or as a member of the socket's group")
        }
        _ => unavailable(socket, errno.desc()),
    }
}

/// The error of an engine that does not answer.
pub(super) fn unavailable(socket: &Path, cause: &str) -> Fault {
    let fault = fault::ENGINE_UNAVAILABLE.cannot("reach the engine at", url(socket), cause);
    fault.hint("start dockerd first, or name its socket: --host unix:///run/docker.sock")
}

/// A socket as `DOCKER_HOST` has it.
pub(super) fn url(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}
