//! The lock that makes a node the only one in its network namespace: two of them have the same addresses, and the stop of one
//! takes away the rules of the other.
//!
//! It is the name of an abstract unix socket: those belong to the network namespace, and end with their process (unix(7)). Who holds
//! it is a second name, which everybody in the namespace can read, however busy its holder is.

use crate::fault;
use crate::process::init_failed;
use dind_contract::Fault;
use dind_system::Root;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// The lock's name.
const NAME: &str = "dind-launch";
/// The sockets of the namespace; abstract names begin with `@` there.
const SOCKETS: &str = "/proc/net/unix";

/// The lock; the launcher's end releases it.
#[derive(Debug)]
pub struct NetworkLock {
    _sockets: [Option<OwnedFd>; 2],
}

/// Takes the lock.
///
/// # Errors
/// [`fault::NETWORK_IN_USE`]: another node has it.
pub(super) fn take() -> Result<NetworkLock, Fault> {
    let lock = match hold(NAME) {
        Ok(lock) => lock,
        Err(Errno::EADDRINUSE) => return Err(in_use(&Root::default())),
        Err(error) => {
            let error = io::Error::from(error);
            return Err(init_failed("cannot take the lock of the network namespace", &error));
        }
    };
    let host = Root::default().read("/proc/sys/kernel/hostname").unwrap_or_default();
    // For people alone.
    let holder = hold(&format!("{NAME}/{}/{}", host.trim(), std::process::id())).ok();
    Ok(NetworkLock { _sockets: [Some(lock), holder] })
}

fn hold(name: &str) -> Result<OwnedFd, Errno> {
    let held = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(held.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    Ok(held)
}

fn in_use(root: &Root) -> Fault {
    let holder = root.read(SOCKETS).ok().and_then(|table| holder(&table));
    let who = match &holder {
        Some((host, pid)) => format!("another node runs in it: host name {host}, pid {pid} there"),
        None => "another node runs in it".to_owned(),
    };
    fault::NETWORK_IN_USE
        .failed("cannot use this network namespace", who)
        .hint("give the container a network of its own")
}

/// Host name and pid of the holder.
fn holder(table: &str) -> Option<(String, String)> {
    let names = table.lines().filter_map(|line| line.rsplit_once(' ')?.1.strip_prefix('@'));
    let mut holders = names.filter_map(|name| name.strip_prefix(NAME)?.strip_prefix('/')?.rsplit_once('/'));
    holders.next().map(|(host, pid)| (host.to_owned(), pid.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_known_by_its_second_name() {
        let table = "Num RefCount Protocol Flags Type St Inode Path\n\
            0: 2 0 0 0001 01 17 @dind-launch\n0: 2 0 0 0001 01 18 @dind-launch/0a1b/1\n0: 2 0 0 0001 01 19\n";
        assert_eq!(holder(table), Some(("0a1b".to_owned(), "1".to_owned())));
        assert_eq!(holder("0: 2 0 0 0001 01 17 @dind-launch\n"), None);
    }
}
