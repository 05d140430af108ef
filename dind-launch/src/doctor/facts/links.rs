//! Asks the kernel for the network features that an engine needs, in a network namespace of a thread's own: what is made
//! there is gone with the thread. Names would not be enough: a built-in feature has no module that could be seen, and a missing
//! module is loaded when somebody asks for it.

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::collections::BTreeSet;
use std::os::fd::AsRawFd;
use std::thread;

/// The kernel's packet filter of today. Its predecessor has a file in `/proc/net`.
pub(crate) const NF_TABLES: &str = "nf_tables";

/// Kinds of links (rtnetlink(7), `IFLA_INFO_KIND`).
pub(crate) const KINDS: [&str; 2] = ["bridge", "veth"];

/// Loading a module takes some ten milliseconds, on a slow disk more.
const LIMIT_S: i64 = 2;

// linux/netlink.h, rtnetlink.h, if_link.h, netfilter/nfnetlink.h, netfilter/nf_tables.h.
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_CREATE_NEW: u16 = 0x600;
const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
/// Subsystem 10, message 16: asks for the generation of the rules.
const NFT_MSG_GETGEN: u16 = 10 << 8 | 16;

/// The names of what the kernel does not support. Nothing, where it lets us make no namespace: another check reports that.
pub(super) fn refused() -> BTreeSet<String> {
    let probes = thread::spawn(|| {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            return BTreeSet::new();
        }
        let mut refused: BTreeSet<_> = KINDS.into_iter().filter(|kind| is_link_unsupported(kind)).collect();
        if is_nf_tables_unsupported() {
            refused.insert(NF_TABLES);
        }
        refused.into_iter().map(str::to_owned).collect()
    });
    probes.join().unwrap_or_default()
}

fn is_link_unsupported(kind: &str) -> bool {
    let kind = attribute(IFLA_INFO_KIND, kind.as_bytes());
    // An ifinfomsg of zeros: any family, any index, no flags.
    let body = [&[0; 16][..], &attribute(IFLA_LINKINFO, &kind)].concat();
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE_NEW;
    let answer = ask(SockProtocol::NetlinkRoute, RTM_NEWLINK, flags, &body);
    matches!(answer, Err(Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT))
}

fn is_nf_tables_unsupported() -> bool {
    // An nfgenmsg of zeros. EINVAL is nfnetlink's word for a subsystem that it does not know.
    let answer = ask(SockProtocol::NetlinkNetFilter, NFT_MSG_GETGEN, NLM_F_REQUEST, &[0; 4]);
    matches!(answer, Err(Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EINVAL))
}

/// Sends one message and reads whether the kernel accepted it.
fn ask(protocol: SockProtocol, kind: u16, flags: u16, body: &[u8]) -> Result<(), Errno> {
    let socket = socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(LIMIT_S))?;
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend(((16 + body.len()) as u32).to_ne_bytes());
    message.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
    // Sequence and port: this socket has one conversation.
    message.extend([0; 8]);
    message.extend(body);
    socket::sendto(socket.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = [0; 4096];
    let length = socket::recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    answer(&buffer[..length])
}

/// An error message with the number 0 is an acknowledgement; any other message is the answer itself.
fn answer(message: &[u8]) -> Result<(), Errno> {
    let error = message.get(4..6).filter(|kind| *kind == NLMSG_ERROR.to_ne_bytes());
    let number = error.and_then(|_| message.get(16..20)?.try_into().ok()).map_or(0, i32::from_ne_bytes);
    if number == 0 { Ok(()) } else { Err(Errno::from_raw(-number)) }
}

/// Length, kind, value, and zeros up to the next multiple of four.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + value.len());
    bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        assert_eq!(attribute(1, b"veth"), [&8u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"veth"].concat());
        assert_eq!(attribute(1, b"bridge").len(), 12);
        assert_eq!(attribute(1, b"bridge")[..2], 10u16.to_ne_bytes());
    }

    #[test]
    fn answers() {
        let error = |number: i32| {
            let mut message = vec![0; 36];
            message[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
            message[16..20].copy_from_slice(&number.to_ne_bytes());
            answer(&message)
        };
        assert_eq!(error(0), Ok(()));
        assert_eq!(error(-(Errno::EOPNOTSUPP as i32)), Err(Errno::EOPNOTSUPP));
        assert_eq!(answer(&[0; 20]), Ok(()));
        assert_eq!(answer(&[]), Ok(()));
    }
}
