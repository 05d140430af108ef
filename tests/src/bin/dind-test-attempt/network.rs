//! What passes by.

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::Result;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// What is looked for is sent fifty times in that time.
const WHILE: Duration = Duration::from_millis(500);

/// What comes before it.
const BEGIN: &[u8] = b"packet:";

pub(super) fn sniff() -> Result<Vec<u8>> {
    let (kind, all) = (SockType::Raw, SockProtocol::EthAll);
    let packets = socket(AddressFamily::Packet, kind, SockFlag::SOCK_CLOEXEC, all)?;
    setsockopt(&packets, ReceiveTimeout, &TimeVal::milliseconds(100))?;
    let end = Instant::now() + WHILE;
    let mut bytes = [0; 2048];
    while Instant::now() < end {
        let Ok(length) = recv(packets.as_raw_fd(), &mut bytes, MsgFlags::empty()) else { continue };
        let frame = &bytes[..length];
        if let Some(at) = frame.windows(BEGIN.len()).position(|window| window == BEGIN) {
            return Ok(frame[at + BEGIN.len()..].to_vec());
        }
    }
    Ok(Vec::new())
}
