//! Whether nf_tables works, and whether somebody has rules there, asked over netlink: no program is run.

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};
use serde::{Deserialize, Serialize};
use std::io;

/// What nf_tables holds in this network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tables {
    /// Tables of IPv4 or IPv6.
    Present,
    /// None, but the kernel has nf_tables.
    Empty,
    /// The kernel has no nf_tables.
    Unavailable,
    /// Nobody may ask without `CAP_NET_ADMIN`.
    #[default]
    Unknown,
}

/// Numbers of linux/netfilter/nfnetlink.h and nf_tables.h.
const NFT_MSG_NEWTABLE: u16 = 10 << 8;
const NFT_MSG_GETTABLE: u16 = (10 << 8) | 1;
const NLM_F_REQUEST_DUMP: u16 = 0x1 | 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;

/// Asks the kernel.
#[must_use]
pub fn tables() -> Tables {
    ask().unwrap_or(Tables::Unavailable)
}

fn ask() -> io::Result<Tables> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // nlmsghdr, then nfgenmsg: any family, version 0.
    let mut request = Vec::with_capacity(HEADER + 4);
    request.extend((HEADER as u32 + 4).to_ne_bytes());
    request.extend(NFT_MSG_GETTABLE.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 12]);
    socket.send(&request, 0)?;
    let mut found = Tables::Empty;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        match read(&answer, &mut found) {
            None => {}
            Some(0) => return Ok(found),
            Some(errno) if errno == nix::libc::EPERM => return Ok(Tables::Unknown),
            Some(_) => return Ok(Tables::Unavailable),
        }
    }
}

/// Goes through the messages of one datagram; the kernel's verdict once it has come, 0 for the good end.
fn read(mut bytes: &[u8], found: &mut Tables) -> Option<i32> {
    while let Some((header, body)) = bytes.split_at_checked(HEADER) {
        let length = u32::from_ne_bytes(header[..4].try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(header[4..6].try_into().ok()?);
        match kind {
            NLMSG_DONE => return Some(0),
            NLMSG_ERROR => return Some(-i32::from_ne_bytes(body.get(..4)?.try_into().ok()?)),
            NFT_MSG_NEWTABLE => {
                let family = i32::from(*body.first()?);
                if family == nix::libc::NFPROTO_IPV4 || family == nix::libc::NFPROTO_IPV6 {
                    *found = Tables::Present;
                }
            }
            _ => {}
        }
        bytes = bytes.get(length.max(HEADER).next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn answers() {
        let ipv4 = message(NFT_MSG_NEWTABLE, &[2, 0, 0, 0]);
        let bridge = message(NFT_MSG_NEWTABLE, &[7, 0, 0, 0]);
        let done = message(NLMSG_DONE, &[0; 4]);
        let denied = message(NLMSG_ERROR, &(-nix::libc::EPERM).to_ne_bytes());
        for (bytes, verdict, tables) in [
            ([bridge.clone(), ipv4.clone()].concat(), None, Tables::Present),
            ([bridge, done.clone()].concat(), Some(0), Tables::Empty),
            ([ipv4.clone(), done].concat(), Some(0), Tables::Present),
            (denied, Some(nix::libc::EPERM), Tables::Empty),
            (ipv4[..10].to_vec(), None, Tables::Empty),
            (Vec::new(), None, Tables::Empty),
        ] {
            let mut found = Tables::Empty;
            assert_eq!((read(&bytes, &mut found), found), (verdict, tables), "{bytes:?}");
        }
    }
}
