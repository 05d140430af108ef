//! A message of nf_tables: its frame and its attributes (linux/netlink.h, linux/netfilter/nfnetlink.h).

pub(crate) use dind_system::netlink::attribute;
use nix::libc;

/// `NFNL_SUBSYS_NFTABLES`.
pub(crate) const SUBSYSTEM: u16 = 10;
/// nlmsghdr, before every message.
pub(crate) const HEADER: usize = 16;
/// nfgenmsg, before the attributes.
pub(crate) const FAMILY: usize = 4;

/// The number of a type of message of nf_tables.
pub(crate) const fn kind(number: u16) -> u16 {
    (SUBSYSTEM << 8) | number
}

/// One message: nlmsghdr, nfgenmsg, attributes.
pub(crate) fn encode(
    kind: u16,
    flags: i32,
    number: u32,
    family: u8,
    resource: u16,
    attributes: &[u8],
) -> Vec<u8> {
    let mut bytes = ((HEADER + FAMILY + attributes.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(((flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

pub(crate) fn nested(kind: u16, attributes: &[u8]) -> Vec<u8> {
    attribute(kind | libc::NLA_F_NESTED as u16, attributes)
}

pub(crate) fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

pub(crate) fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

/// A comment as user data: its type is 0 (libnftnl, udata.h); then come its length and its text.
pub(crate) fn comment(words: &str) -> Vec<u8> {
    [&[0, words.len() as u8 + 1], words.as_bytes(), &[0]].concat()
}
