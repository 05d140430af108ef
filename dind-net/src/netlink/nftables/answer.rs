//! What the kernel answers about nf_tables, parsed. The bytes are not trusted: whatever they are, nothing panics.

use crate::netlink::nftables::message::{FAMILY, HEADER};
use dind_system::netlink;
use nix::libc::EINTR;
use rtnetlink::packet_core::NLM_F_DUMP_INTR;

/// Types of messages that end an answer (linux/netlink.h).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// `NFPROTO_*`.
    pub family: u8,
    /// Its name.
    pub name: String,
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The table that it is in.
    pub table: String,
    /// Its name.
    pub name: String,
    /// How many rules it has, and jumps to it.
    pub uses: Option<u32>,
    /// Its comment.
    pub comment: Option<String>,
}

/// A rule, as far as it matters to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The kernel's number for it.
    pub handle: u64,
    /// Its comment.
    pub comment: Option<String>,
}

/// The generation of the rule set: each transaction, whoever makes it, counts it up.
#[must_use]
pub fn generation(body: &[u8]) -> Option<u32> {
    value(body, 1)?.try_into().ok().map(u32::from_be_bytes)
}

impl Table {
    /// Parses the body of a message that names a table.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        Some(Self { family: *body.first()?, name: string(value(body, 1)?)? })
    }
}

impl Chain {
    /// Parses the body of a message that describes a chain.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        Some(Self {
            table: string(value(body, 1)?)?,
            name: string(value(body, 3)?)?,
            uses: value(body, 6).and_then(|uses| uses.try_into().ok()).map(u32::from_be_bytes),
            comment: comment(body, 12),
        })
    }
}

impl Rule {
    /// Parses the body of a message that describes a rule.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let handle = value(body, 3)?.try_into().ok().map(u64::from_be_bytes)?;
        Some(Self { handle, comment: comment(body, 7) })
    }
}

/// The comment in user data of this attribute: its type is 0; then come its length and its text.
fn comment(body: &[u8], kind: u16) -> Option<String> {
    value(body, kind).filter(|data| data.first() == Some(&0)).and_then(|data| data.get(2..)).and_then(string)
}

/// The value of an attribute of a message that begins with nfgenmsg.
fn value(body: &[u8], kind: u16) -> Option<&[u8]> {
    netlink::value(body.get(FAMILY..)?, kind)
}

/// Text up to its end mark.
fn string(bytes: &[u8]) -> Option<String> {
    bytes.split(|byte| *byte == 0).next().map(|text| String::from_utf8_lossy(text).into_owned())
}

/// A message of a datagram.
struct Message<'a> {
    kind: u16,
    flags: u16,
    number: u32,
    body: &'a [u8],
}

/// The next message of a datagram.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<Message<'a>> {
    let (header, body) = bytes.split_at_checked(HEADER)?;
    let length = u32::from_ne_bytes(header[..4].try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(header[4..6].try_into().ok()?);
    let flags = u16::from_ne_bytes(header[6..8].try_into().ok()?);
    let number = u32::from_ne_bytes(header[8..12].try_into().ok()?);
    *bytes = bytes.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
    Some(Message { kind, flags, number, body: body.get(..length.saturating_sub(HEADER)).unwrap_or(body) })
}

/// The next acknowledgement of a datagram: the number of its message, and the error number, 0 for success.
#[must_use]
pub fn verdict(bytes: &mut &[u8]) -> Option<(u32, i32)> {
    loop {
        let Message { kind, number, body, .. } = next(bytes)?;
        if kind == NLMSG_ERROR {
            return Some((number, -i32::from_ne_bytes(body.get(..4)?.try_into().ok()?)));
        }
    }
}

/// Adds the bodies of a datagram's messages to `bodies`; the error number once the answer has ended, 0 for success, `EINTR` where
/// what is listed has changed meanwhile.
#[must_use]
pub fn collect(mut bytes: &[u8], bodies: &mut Vec<Vec<u8>>) -> Option<i32> {
    while let Some(Message { kind, flags, body, .. }) = next(&mut bytes) {
        match kind {
            _ if flags & NLM_F_DUMP_INTR != 0 => return Some(EINTR),
            NLMSG_DONE => return Some(0),
            NLMSG_ERROR => return Some(-i32::from_ne_bytes(body.get(..4)?.try_into().ok()?)),
            _ => bodies.push(body.to_vec()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::nftables::message::{attribute, comment as user_comment, encode, kind, number, text};
    use nix::libc::{EPERM, NFPROTO_IPV4};

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn answers() {
        let ipv4 = message(kind(0), b"\x02\0\0\0\x08\0\x01\0nat\0");
        let own = message(kind(0), b"\x02\0\0\0\x09\0\x01\0dind\0\0\0\0");
        let bridge = message(kind(0), &[7, 0, 0, 0]);
        let done = message(NLMSG_DONE, &[0; 4]);
        let mut changed = ipv4.clone();
        changed[6] = NLM_F_DUMP_INTR as u8;
        let denied = message(NLMSG_ERROR, &(-EPERM).to_ne_bytes());
        for (bytes, verdict, names) in [
            ([bridge.clone(), ipv4.clone()].concat(), None, "nat"),
            ([bridge, own, done.clone()].concat(), Some(0), "dind"),
            ([ipv4.clone(), done].concat(), Some(0), "nat"),
            (denied.clone(), Some(EPERM), ""),
            (changed, Some(EINTR), ""),
            (ipv4[..10].to_vec(), None, ""),
            (Vec::new(), None, ""),
        ] {
            let mut bodies = Vec::new();
            assert_eq!(collect(&bytes, &mut bodies), verdict, "{bytes:?}");
            let tables: Vec<_> = bodies.iter().filter_map(|body| Table::parse(body)).collect();
            assert!(tables.iter().all(|table| table.family == NFPROTO_IPV4 as u8), "{tables:?}");
            let found: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
            assert_eq!(found.join(" "), names, "{bytes:?}");
        }
        assert_eq!(verdict(&mut denied.as_slice()), Some((0, EPERM)));
        assert_eq!(verdict(&mut &denied[..17]), None);
    }

    #[test]
    fn what_is_encoded_is_parsed_again() {
        let chain = [text(1, "filter"), text(3, "FORWARD"), number(6, 2)].concat();
        let rule = [attribute(3, &9_u64.to_be_bytes()), attribute(7, &user_comment("dind"))].concat();
        let bytes = [encode(kind(3), 0, 7, 2, 0, &chain), encode(kind(6), 0, 8, 2, 0, &rule)].concat();
        let mut bodies = Vec::new();
        assert_eq!(collect(&bytes, &mut bodies), None);
        let (table, name) = ("filter".to_owned(), "FORWARD".to_owned());
        assert_eq!(Chain::parse(&bodies[0]), Some(Chain { table, name, uses: Some(2), comment: None }));
        assert_eq!(Rule::parse(&bodies[1]), Some(Rule { handle: 9, comment: Some("dind".to_owned()) }));
    }
}
