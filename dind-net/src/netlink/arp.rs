//! ARP on a packet socket: is an address of the range in use?
//!
//! RFC 5227 probes one address three times, 1 to 2 seconds apart, on media of unknown delay. The outer network of a
//! container is a bridge on the same machine, where an answer takes microseconds: all addresses are probed at once,
//! in three rounds of 100 ms (section 2.2.1 allows shorter times where the medium is known).
//!
//! Closing such a socket waits until no processor looks at it any more, 10 ms and more. So nothing else is done with one:
//! the kernel itself asks for the gateway and announces addresses, see [`crate::netlink::route`].

use nix::libc;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, bind, recv, send, setsockopt, socket,
};
use nix::sys::time::TimeVal;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How many addresses are probed at most.
pub const PROBED_AT_MOST: usize = 4096;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(100);
/// How long the device's queue may stay full.
const SEND_LIMIT: Duration = Duration::from_secs(5);
/// Ethernet header and ARP packet for IPv4 (RFC 826).
const FRAME: usize = 42;
const REQUEST: u8 = 1;

/// A hardware address.
pub type Mac = [u8; 6];

/// Asks for all `addresses` and gives the first that somebody else answers for, or probes for at the same time. Whether or not the
/// link is a port of a bridge, and becomes one meanwhile, makes no difference.
///
/// # Errors
/// Those of the packet socket.
pub fn probe(link: u32, addresses: &[Ipv4Addr]) -> io::Result<Option<(Ipv4Addr, Mac)>> {
    let (socket, mac) = open(link, libc::ETH_P_ARP)?;
    // Without a sender's address, so that nobody learns a thing from it.
    let requests: Vec<_> =
        addresses.iter().map(|address| frame(mac, Ipv4Addr::UNSPECIFIED, *address)).collect();
    let found =
        |frame: &[u8]| claim(frame).filter(|(address, other)| *other != mac && addresses.contains(address));
    listen(&socket, &requests, found)
}

/// Sends all requests in each of the rounds, and gives the first claim that is looked for.
pub(super) fn listen<T>(
    socket: &OwnedFd,
    requests: &[impl AsRef<[u8]>],
    found: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    for _ in 0..ROUNDS {
        let end = Instant::now() + ROUND;
        for request in requests {
            transmit(socket, request.as_ref())?;
        }
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let mut bytes = [0; 128];
            // A timeout of 0 would mean none.
            let limit = left.max(Duration::from_millis(1));
            setsockopt(socket, ReceiveTimeout, &TimeVal::new(0, i64::from(limit.subsec_micros())))?;
            match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                Ok(length) => {
                    if let Some(claim) = found(&bytes[..length]) {
                        return Ok(Some(claim));
                    }
                }
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(None)
}

/// A socket that receives one protocol, an `ETH_P_*`, on a link, and the link's own address.
pub(super) fn open(link: u32, protocol: i32) -> io::Result<(OwnedFd, Mac)> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
    // The answers to a whole range come at once. Without CAP_NET_ADMIN the default has to do.
    let _ = setsockopt(&socket, RcvBufForce, &(4 << 20));
    filter(&socket, protocol)?;
    let index = i32::try_from(link).map_err(io::Error::other)?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        // A bridge takes the frames of its ports before a socket for one protocol sees them (__netif_receive_skb_core of net/core/dev.c).
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = u32::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    // SAFETY: the pointer is to a live sockaddr_ll of that length, from which nix copies. It has no other way in.
    #[allow(unsafe_code)]
    let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    bind(socket.as_raw_fd(), &address.ok_or(io::ErrorKind::InvalidInput)?)?;
    let own = own_address(&socket)?;
    Ok((socket, own))
}

/// The hardware address of the link that the socket is bound to (packet(7)).
fn own_address(socket: &OwnedFd) -> io::Result<Mac> {
    // SAFETY: all of its fields are integers.
    #[allow(unsafe_code)]
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut length = u32::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    // SAFETY: the pointers are to a live sockaddr_ll and its length. nix takes addresses of the whole length alone, and the kernel's
    // ends with the link's.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
    nix::errno::Errno::result(answer)?;
    let bytes =
        address.sll_addr.get(..usize::from(address.sll_halen)).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the link has no address of Ethernet"))
}

/// Lets the socket see one protocol alone, before it is bound and sees anything.
fn filter(socket: &OwnedFd, protocol: i32) -> io::Result<()> {
    let instruction = |code: u32, jf, k| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let mut program = [
        // The EtherType, behind both addresses; all of a frame that has this one, nothing of others (linux/filter.h).
        instruction(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 12),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, protocol as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let length = u32::try_from(size_of_val(&filter)).map_err(io::Error::other)?;
    // SAFETY: the pointers are to a live sock_fprog of that length and its program, from which the kernel copies. nix has no way in.
    #[allow(unsafe_code)]
    let answer = unsafe {
        let filter = (&raw const filter).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, filter, length)
    };
    nix::errno::Errno::result(answer).map(drop).map_err(io::Error::from)
}

/// Sends, waiting for room: a full queue of the device is no error, unless it stays full.
fn transmit(socket: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    let end = Instant::now() + SEND_LIMIT;
    loop {
        match send(socket.as_raw_fd(), frame, MsgFlags::empty()) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::ENOBUFS) if Instant::now() < end => {
                std::thread::yield_now();
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A request to all, in the words of RFC 826: who has `target`? The answer goes to `sender`.
fn frame(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&mac);
    // EtherType ARP; hardware Ethernet, protocol IPv4, lengths 6 and 4, request.
    frame[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, REQUEST]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&sender.octets());
    frame[38..42].copy_from_slice(&target.octets());
    frame
}

/// The address that a frame's sender uses, or is about to use, and the sender.
fn claim(frame: &[u8]) -> Option<(Ipv4Addr, Mac)> {
    if frame.get(12..20)? != [0x08, 0x06, 0, 1, 0x08, 0, 6, 4] {
        return None;
    }
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(frame.get(at..at + 4)?).ok()?));
    let mac = Mac::try_from(frame.get(22..28)?).ok()?;
    let sender = address(28)?;
    let probed = sender.is_unspecified() && frame[21] == REQUEST;
    Some((if probed { address(38)? } else { sender }, mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Mac = [2, 0, 0, 0, 0, 9];

    #[test]
    fn claims() {
        let (own, target) = (Ipv4Addr::new(10, 0, 1, 7), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(claim(&frame(OTHER, own, target)), Some((own, OTHER)), "a sender uses its address");
        assert_eq!(claim(&frame(OTHER, Ipv4Addr::UNSPECIFIED, own)), Some((own, OTHER)), "a probe wants it");
        let mut other_protocol = frame(OTHER, own, target);
        other_protocol[16] = 0x86;
        assert_eq!(claim(&other_protocol), None);
        assert_eq!(claim(&frame(OTHER, own, target)[..30]), None, "cut off");
    }
}
