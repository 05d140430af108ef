//! The expressions of a rule, one after the other: what nf_tables loads, compares, changes and decides.
//!
//! Numbers and layouts are those of linux/netfilter/nf_tables.h; `nft --debug=netlink` shows the same.

use crate::netlink::nftables::message::{attribute, nested, number, text};
use nix::libc;
use std::net::Ipv4Addr;

/// Base of [`payload`]: the Ethernet header.
pub(crate) const LINK: u32 = 0;
/// Base of [`payload`]: the IPv4 header.
pub(crate) const NETWORK: u32 = 1;
/// Base of [`payload`]: the TCP or UDP header.
pub(crate) const TRANSPORT: u32 = 2;
/// Offset of the source address.
pub(crate) const SOURCE: u32 = 12;
/// Offset of the destination address.
pub(crate) const DESTINATION: u32 = 16;

/// Bits of a tracked connection's state, as nft shows them.
pub(crate) const TRACKED_ESTABLISHED: u32 = 0x02;
/// See above.
pub(crate) const TRACKED_RELATED: u32 = 0x04;
/// `IPS_DST_NAT`.
pub(crate) const TRACKED_DNAT: u32 = 0x20;

fn data(kind: u16, value: &[u8]) -> Vec<u8> {
    nested(kind, &attribute(1, value))
}

/// An element of a rule's list.
fn expression(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, &parts.concat())].concat())
}

// Below, everything is loaded into register 1 and compared or changed there.

/// Loads bytes of a header.
pub(crate) fn payload(base: u32, offset: u32, length: u32) -> Vec<u8> {
    expression("payload", &[number(1, 1), number(2, base), number(3, offset), number(4, length)])
}

/// Changes bytes of a header that no checksum covers.
pub(crate) fn write_payload(base: u32, offset: u32, value: &[u8]) -> Vec<u8> {
    let place = [number(2, base), number(3, offset), number(4, value.len() as u32), number(5, 1)];
    let load = expression("immediate", &[number(1, 1), data(2, value)]);
    [load, expression("payload", &place)].concat()
}

/// Adds the loaded bytes to a set, or makes them stay in it for its whole time again.
pub(crate) fn remember(set: &str) -> Vec<u8> {
    expression("dynset", &[text(1, set), number(3, 1), number(4, 1)])
}

/// Goes on when the loaded bytes are in a set.
pub(crate) fn among(set: &str) -> Vec<u8> {
    expression("lookup", &[text(1, set), number(2, 1)])
}

/// Goes on when the loaded bytes are these.
pub(crate) fn equal(value: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(1, 1), number(2, 0), data(3, value)])
}

/// Goes on when the loaded bytes are others.
pub(crate) fn differs(value: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(1, 1), number(2, 1), data(3, value)])
}

/// Clears the bits that are not in the mask.
pub(crate) fn masked(mask: &[u8]) -> Vec<u8> {
    let length = number(3, mask.len() as u32);
    expression("bitwise", &[number(1, 1), number(2, 1), length, data(4, mask), data(5, &vec![0; mask.len()])])
}

/// Goes on with packets that came in over this link.
pub(crate) fn from(link: &str) -> Vec<u8> {
    [meta(6), equal(&padded(link))].concat()
}

/// Goes on with packets that came in over another link.
pub(crate) fn not_from(link: &str) -> Vec<u8> {
    [meta(6), differs(&padded(link))].concat()
}

/// Goes on with packets that leave over this link.
pub(crate) fn to(link: &str) -> Vec<u8> {
    [meta(7), equal(&padded(link))].concat()
}

/// Goes on with packets that leave over another link.
pub(crate) fn not_to(link: &str) -> Vec<u8> {
    [meta(7), differs(&padded(link))].concat()
}

/// Goes on with packets that came in over a link of this kind, as `ip -d link` shows it. Links without a kind do not match.
pub(crate) fn from_kind(kind: &str) -> Vec<u8> {
    [meta(26), equal(&padded(kind))].concat()
}

/// Goes on with packets that leave over a link of this kind.
pub(crate) fn to_kind(kind: &str) -> Vec<u8> {
    [meta(27), equal(&padded(kind))].concat()
}

/// Sets the bits of the mask in the packet's mark to those of the value, and leaves the others.
pub(crate) fn set_mark(value: u32, mask: u32) -> Vec<u8> {
    let (kept, set) = (data(4, &(!mask).to_ne_bytes()), data(5, &(value & mask).to_ne_bytes()));
    let change = expression("bitwise", &[number(1, 1), number(2, 1), number(3, 4), kept, set]);
    [meta(MARK), change, expression("meta", &[number(2, MARK), number(3, 1)])].concat()
}

/// `NFT_META_MARK`.
const MARK: u32 = 3;

/// Goes on, after what an engine's rules do beside all this: the kind of a source address (`NFT_FIB_RESULT_ADDRTYPE`), a counter.
pub(crate) fn local_source_counted() -> Vec<u8> {
    let kind = expression("fib", &[number(1, 1), number(2, 3), number(3, 1)]);
    [kind, equal(&2_u32.to_ne_bytes()), expression("counter", &[])].concat()
}

/// Changes the source for the whole connection to an address of the link that it leaves over.
pub(crate) fn masquerade() -> Vec<u8> {
    expression("masq", &[])
}

/// Loads an `NFT_META_*`.
fn meta(key: u32) -> Vec<u8> {
    expression("meta", &[number(1, 1), number(2, key)])
}

fn padded(link: &str) -> Vec<u8> {
    let mut name = link.as_bytes().to_vec();
    name.resize(libc::IFNAMSIZ, 0);
    name
}

/// Goes on with connections whose state (`NFT_CT_STATE`) has one of the bits.
pub(crate) fn tracked_state(bits: u32) -> Vec<u8> {
    tracked(0, bits)
}

/// Goes on with connections whose status (`NFT_CT_STATUS`) has one of the bits.
pub(crate) fn tracked_status(bits: u32) -> Vec<u8> {
    tracked(2, bits)
}

fn tracked(key: u32, bits: u32) -> Vec<u8> {
    let load = expression("ct", &[number(1, 1), number(2, key)]);
    [load, masked(&bits.to_ne_bytes()), differs(&[0; 4])].concat()
}

/// Goes on with packets of this `IPPROTO_*`.
pub(crate) fn protocol(ipproto: i32) -> Vec<u8> {
    [meta(16), equal(&[ipproto as u8])].concat()
}

/// Ends with the packet dropped.
pub(crate) fn drop_packet() -> Vec<u8> {
    verdict(libc::NF_DROP)
}

/// Ends with the packet let through, as far as this chain's hook goes.
pub(crate) fn accept() -> Vec<u8> {
    verdict(libc::NF_ACCEPT)
}

/// Register 0 is that of verdicts.
fn verdict(code: i32) -> Vec<u8> {
    expression("immediate", &[number(1, 0), nested(2, &nested(2, &number(1, code as u32)))])
}

/// Changes the destination for the whole connection.
pub(crate) fn send_to(address: Ipv4Addr, port: u16) -> Vec<u8> {
    [
        expression("immediate", &[number(1, 1), data(2, &address.octets())]),
        expression("immediate", &[number(1, 2), data(2, &port.to_be_bytes())]),
        expression("nat", &[number(1, 1), number(2, libc::NFPROTO_IPV4 as u32), number(3, 1), number(5, 2)]),
    ]
    .concat()
}

/// Lowers the segment size that a SYN asks for to what the routes of both directions carry (`NFT_RT_TCPMSS`).
pub(crate) fn clamp_segments() -> Vec<u8> {
    [
        expression("rt", &[number(1, 1), number(2, 3)]),
        // Host to network order, in elements of 2 bytes.
        expression("byteorder", &[number(1, 1), number(2, 1), number(3, 1), number(4, 2), number(5, 2)]),
        // Writes register 1 to TCP option 2 (maximum segment size), 2 bytes after kind and length.
        expression("exthdr", &[attribute(2, &[2]), number(3, 2), number(4, 2), number(6, 1), number(7, 1)]),
    ]
    .concat()
}
