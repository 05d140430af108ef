//! The frame of netlink(7): messages, attributes, and a conversation with the kernel. What they mean is for the caller to know.
//! The bytes that come back are not trusted: whatever they are, nothing panics.

use nix::errno::Errno;
use nix::libc::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send, setsockopt,
    socket,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// `nlmsghdr`, before every message.
const HEADER: usize = 16;
/// Types of messages that end an answer (linux/netlink.h).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The part of an attribute's type that is the type (linux/netlink.h, `NLA_TYPE_MASK`).
const TYPE: u16 = 0x3fff;

/// How long the kernel may take to answer, in seconds. It takes microseconds; an answer that is lost must not keep anybody.
const ANSWER_LIMIT: i64 = 2;

/// A conversation in the calling thread's network namespace.
#[derive(Debug)]
pub struct Conversation(OwnedFd);

impl Conversation {
    /// Opens a socket.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn open(protocol: SockProtocol) -> io::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(ANSWER_LIMIT, 0))?;
        connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    /// The bodies of all that there is of a kind.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn list(&self, kind: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        self.request(kind, NLM_F_DUMP, body)
    }

    /// Makes a request. Returns the bodies of its answers.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn ask(&self, kind: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        self.request(kind, NLM_F_ACK, body)
    }

    fn request(&self, kind: u16, flags: i32, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        send(self.0.as_raw_fd(), &message(kind, flags | NLM_F_REQUEST, body), MsgFlags::empty())?;
        let mut bodies = Vec::new();
        loop {
            match collect(&self.receive()?, &mut bodies) {
                None => {}
                Some(0) => return Ok(bodies),
                Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let receive = |bytes: &mut [u8], flags| match recv(self.0.as_raw_fd(), bytes, flags) {
            Err(Errno::EAGAIN) => Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel does not answer")),
            other => Ok(other?),
        };
        let length = receive(&mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC)?;
        let mut bytes = vec![0; length];
        receive(&mut bytes, MsgFlags::empty())?;
        Ok(bytes)
    }
}

fn message(kind: u16, flags: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags as u16).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// An attribute, padded.
#[must_use]
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The value of the first attribute of this type.
#[must_use]
pub fn value(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    while let Some((head, _)) = rest.split_at_checked(4) {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]])).max(4);
        if u16::from_ne_bytes([head[2], head[3]]) & TYPE == kind {
            return rest.get(4..length);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Adds the bodies of a datagram's messages; the error number once the answer has ended, 0 for success.
fn collect(mut bytes: &[u8], bodies: &mut Vec<Vec<u8>>) -> Option<i32> {
    while let Some((header, rest)) = bytes.split_at_checked(HEADER) {
        let length = u32::from_ne_bytes(header[..4].try_into().ok()?) as usize;
        let body = rest.get(..length.saturating_sub(HEADER)).unwrap_or(rest);
        match u16::from_ne_bytes(header[4..6].try_into().ok()?) {
            NLMSG_DONE => return Some(0),
            NLMSG_ERROR => return Some(-i32::from_ne_bytes(body.get(..4)?.try_into().ok()?)),
            _ => bodies.push(body.to_vec()),
        }
        bytes = bytes.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RTM_GETLINK`, and an `ifinfomsg` that names no link.
    const GET_LINK: u16 = 18;
    const ANY_LINK: [u8; 16] = [0; 16];

    #[test]
    fn links_are_listed_and_an_error_is_the_kernels() {
        let kernel = Conversation::open(SockProtocol::NetlinkRoute).unwrap();
        let names: Vec<_> = kernel
            .list(GET_LINK, &ANY_LINK)
            .unwrap()
            .iter()
            .filter_map(|link| value(link.get(16..)?, 3).map(<[u8]>::to_vec))
            .collect();
        assert!(names.contains(&b"lo\0".to_vec()), "{names:?}");
        let mut missing = ANY_LINK;
        missing[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
        let error = kernel.ask(GET_LINK, &missing).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENODEV));
    }

    #[test]
    fn no_bytes_panic() {
        let attributes = [attribute(1, b"abc"), attribute(2 | 0x8000, b"defg")].concat();
        assert_eq!((value(&attributes, 1), value(&attributes, 2)), (Some(&b"abc"[..]), Some(&b"defg"[..])));
        let done = message(NLMSG_DONE, 0, &[0; 4]);
        let denied = message(NLMSG_ERROR, 0, &(-nix::libc::EPERM).to_ne_bytes());
        let one = message(GET_LINK, 0, &attributes);
        for (bytes, end, count) in [
            ([one.clone(), done.clone()].concat(), Some(0), 1),
            ([one.clone(), one.clone()].concat(), None, 2),
            (denied, Some(nix::libc::EPERM), 0),
            (Vec::new(), None, 0),
        ] {
            let mut bodies = Vec::new();
            assert_eq!((collect(&bytes, &mut bodies), bodies.len()), (end, count), "{bytes:?}");
        }
        for length in 0..attributes.len() {
            let _ = value(&attributes[..length], 2);
        }
        for length in 0..one.len() {
            let _ = collect(&one[..length], &mut Vec::new());
        }
        for bytes in [[0; 20], [0xff; 20]] {
            let _ = (collect(&bytes, &mut Vec::new()), value(&bytes, 0));
        }
    }
}
