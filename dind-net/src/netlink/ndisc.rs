//! Neighbour discovery on a packet socket: is an address of the range in use?
//!
//! A host that is about to use an address asks for it without having one (RFC 4862, section 5.4.2): a neighbour solicitation from
//! `::` to the solicited-node multicast group of the address. Whoever has the address answers to all. As with [`super::arp`],
//! all addresses are asked for at once.

use crate::netlink::arp::{Mac, listen, open};
use nix::libc::ETH_P_IPV6;
use std::io;
use std::net::Ipv6Addr;

/// Ethernet header, IPv6 header (RFC 8200), neighbour solicitation (RFC 4861, section 4.3).
const FRAME: usize = 14 + 40 + 24;
/// `IPPROTO_ICMPV6`.
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Nothing that has been forwarded is neighbour discovery.
const HOP_LIMIT: u8 = 255;

/// Asks for all `addresses` and gives the first that somebody else answers for, or asks for at the same time.
///
/// # Errors
/// Those of the packet socket.
pub fn probe(link: u32, addresses: &[Ipv6Addr]) -> io::Result<Option<(Ipv6Addr, Mac)>> {
    let (socket, mac) = open(link, ETH_P_IPV6)?;
    let requests: Vec<_> = addresses.iter().map(|address| solicitation(mac, *address)).collect();
    let found =
        |frame: &[u8]| claim(frame).filter(|(address, other)| *other != mac && addresses.contains(address));
    listen(&socket, &requests, found)
}

/// Who has `target`? Asked without a source address, and so without an option that would say who asks.
fn solicitation(mac: Mac, target: Ipv6Addr) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    let last = &target.octets()[13..];
    // ff02::1:ffXX:XXXX, which is 33:33:ff:XX:XX:XX on Ethernet (RFC 2464, section 7).
    let mut group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).octets();
    group[13..].copy_from_slice(last);
    frame[..2].fill(0x33);
    frame[2..6].copy_from_slice(&group[12..]);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&[0x86, 0xdd]);
    frame[14] = 0x60;
    frame[18..22].copy_from_slice(&[0, 24, ICMPV6, HOP_LIMIT]);
    frame[38..54].copy_from_slice(&group);
    frame[54] = SOLICITATION;
    frame[62..78].copy_from_slice(&target.octets());
    let sum = checksum(&frame);
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// RFC 4443, section 2.3: over the addresses, the length, the protocol, and the message.
fn checksum(frame: &[u8; FRAME]) -> u16 {
    let words = frame[22..].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum = words.sum::<u32>() + 24 + u32::from(ICMPV6);
    let folded = (sum >> 16) + (sum & 0xffff);
    !((folded >> 16) + folded) as u16
}

/// The address that a frame's sender has, or asks for before it uses it, and the sender.
fn claim(frame: &[u8]) -> Option<(Ipv6Addr, Mac)> {
    let ours = frame.get(12..14)? == [0x86, 0xdd] && frame.get(20..22)? == [ICMPV6, HOP_LIMIT];
    let unspecified = frame.get(22..38)? == [0; 16];
    let claims = match *frame.get(54)? {
        ADVERTISEMENT => true,
        SOLICITATION => unspecified,
        _ => false,
    };
    let target = <[u8; 16]>::try_from(frame.get(62..78)?).ok()?;
    let mac = Mac::try_from(frame.get(6..12)?).ok()?;
    (ours && claims).then_some((target.into(), mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Mac = [2, 0, 0, 0, 0, 9];

    #[test]
    fn a_solicitation_is_what_the_rfcs_say() {
        // As tcpdump shows the kernel's own for fd77::3.
        let frame = solicitation(OTHER, "fd77::3".parse().unwrap());
        assert_eq!(frame[..14], [0x33, 0x33, 0xff, 0, 0, 3, 2, 0, 0, 0, 0, 9, 0x86, 0xdd]);
        let whole = frame[22..].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
        let sum = whole.sum::<u32>() + 24 + u32::from(ICMPV6);
        assert_eq!((sum >> 16) + (sum & 0xffff), 0xffff, "the checksum does not add up");
    }

    #[test]
    fn claims() {
        let own: Ipv6Addr = "fd77::7".parse().unwrap();
        let asked = solicitation(OTHER, own);
        assert_eq!(claim(&asked), Some((own, OTHER)), "who asks without an address wants it");
        let mut resolving = asked;
        resolving[22] = 0xfd;
        assert_eq!(claim(&resolving), None, "who asks with an address wants to reach it");
        let mut answer = resolving;
        answer[54] = ADVERTISEMENT;
        assert_eq!(claim(&answer), Some((own, OTHER)));
        let mut forwarded = answer;
        forwarded[21] = 64;
        assert_eq!(claim(&forwarded), None);
        assert_eq!(claim(&answer[..70]), None, "cut off");
    }
}
