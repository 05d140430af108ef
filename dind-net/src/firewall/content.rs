//! The conversation with nf_tables: does it work, what is there, and one transaction that changes it. No program is run.
//!
//! The first request makes the kernel load nf_tables by itself where that is a module; no /lib/modules is needed here.

use crate::forward;
use crate::lane::{self, COMMENT, DOCKER_USER, FILTER};
use crate::nfwire::{Batch, encode, text};
use crate::ruleset::TABLE;
use nix::libc::{EPERM, ERESTART, NFPROTO_IPV4, NFPROTO_IPV6, NLM_F_ACK, NLM_F_DUMP};
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};
use serde::{Deserialize, Serialize};
use std::io;

/// What nf_tables holds in this network namespace, apart from what is ours.
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

/// What a look at nf_tables tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What others have.
    pub tables: Tables,
    /// Whether our own table is there.
    pub own: bool,
    /// Whether our own chain for what is forwarded is there, and has no rule.
    pub forward: bool,
}

/// What nf_tables holds, as far as it matters to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The kernel's number for this state of things: each transaction, whoever makes it, counts it up.
    pub generation: u32,
    /// Tables of IPv4 and IPv6: family and name.
    pub tables: Vec<(u8, String)>,
    /// The chains of `ip filter`.
    pub filter: Vec<String>,
    /// The rules of `DOCKER-USER` in it.
    pub docker_user: Vec<Found>,
    /// Whether its `FORWARD` is ours, and has no rule.
    pub forward: bool,
}

/// A rule, as far as it matters to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The kernel's number for it.
    pub handle: u64,
    /// Its comment.
    pub comment: Option<String>,
}

const GET_TABLES: u16 = (10 << 8) | 1;
const GET_CHAINS: u16 = (10 << 8) | 4;
const GET_RULES: u16 = (10 << 8) | 7;
const GET_GENERATION: u16 = (10 << 8) | 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// nlmsghdr.
const HEADER: usize = 16;
/// nfgenmsg.
const FAMILY: usize = 4;
const IPV4: u8 = NFPROTO_IPV4 as u8;
const IPV6: u8 = NFPROTO_IPV6 as u8;
/// How often a change is tried when somebody else's always comes between; each try takes less than a millisecond.
const ATTEMPTS: usize = 8;

/// Asks the kernel what is there.
#[must_use]
pub fn look() -> Listing {
    match open().and_then(|socket| Content::read(&socket)) {
        Ok(content) => content.listing(),
        Err(error) if error.raw_os_error() == Some(EPERM) => Listing::default(),
        Err(_) => Listing { tables: Tables::Unavailable, ..Listing::default() },
    }
}

/// A transaction that was carried out. Dropping it waits, some milliseconds, until the kernel has freed what was removed
/// (a grace period of RCU, `nft_rcv_nl_event` of nf_tables_api.c): whoever has other work does that first.
#[must_use]
#[derive(Debug)]
pub struct Changed(Option<Socket>);

impl Changed {
    /// Whether there was anything to do.
    #[must_use]
    pub fn happened(&self) -> bool {
        self.0.is_some()
    }
}

/// Changes what is there in one transaction, which happens whole or not at all, and only to what `decide` has seen.
///
/// # Errors
/// The kernel's; `ENOENT` and `EOPNOTSUPP` tell of a kernel that lacks a part.
pub fn change(decide: impl Fn(&Content) -> Batch) -> io::Result<Changed> {
    let mut outcome = Err(io::Error::from_raw_os_error(ERESTART));
    for _ in 0..ATTEMPTS {
        // A new socket: answers to the last attempt may still be in the old one.
        let socket = open()?;
        let content = Content::read(&socket)?;
        let batch = decide(&content);
        if batch.is_empty() {
            return Ok(Changed(None));
        }
        outcome = send(&socket, &batch, content.generation).map(|()| Changed(Some(socket)));
        if !matches!(&outcome, Err(error) if error.raw_os_error() == Some(ERESTART)) {
            break;
        }
    }
    outcome
}

impl Content {
    /// The generation first: what changes while the rest is read is noticed when the transaction is sent.
    fn read(socket: &Socket) -> io::Result<Self> {
        let generation = ask(socket, GET_GENERATION, NLM_F_ACK, 0, &[])?;
        let generation = generation.iter().find_map(|body| value(body, 1)?.try_into().ok());
        let generation = generation.map(u32::from_be_bytes).ok_or(io::ErrorKind::InvalidData)?;
        let mut content = Self { generation, ..Self::default() };
        content.tables = tables(&ask(socket, GET_TABLES, NLM_F_DUMP, 0, &[])?);
        if content.has(FILTER) {
            // The kernel lists the chains of all tables, whatever is asked for.
            let chains = ask(socket, GET_CHAINS, NLM_F_DUMP, IPV4, &[])?;
            let chains = chains.iter().filter(|body| named(body, 1).as_deref() == Some(FILTER));
            content.forward = chains.clone().any(|body| is_idle_forward(body));
            content.filter = chains.filter_map(|body| named(body, 3)).collect();
        }
        if content.filter.iter().any(|chain| chain == DOCKER_USER) {
            let whose = [text(1, FILTER), text(2, DOCKER_USER)].concat();
            let rules = ask(socket, GET_RULES, NLM_F_DUMP, IPV4, &whose)?;
            content.docker_user = rules.iter().filter_map(|body| found(body)).collect();
        }
        Ok(content)
    }

    /// Whether there is a table of IPv4 of this name.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|(family, name)| *family == IPV4 && name == table)
    }

    fn listing(&self) -> Listing {
        let filter = lane::made_filter(self) || forward::is_all(self);
        let ours = |name: &str| name == TABLE || (name == FILTER && filter);
        let others = self.tables.iter().any(|(family, name)| *family != IPV4 || !ours(name));
        Listing {
            tables: if others { Tables::Present } else { Tables::Empty },
            own: self.has(TABLE),
            forward: self.forward,
        }
    }
}

fn tables(bodies: &[Vec<u8>]) -> Vec<(u8, String)> {
    let tables = bodies.iter().filter_map(|body| Some((*body.first()?, named(body, 1)?)));
    tables.filter(|(family, _)| [IPV4, IPV6].contains(family)).collect()
}

fn found(body: &[u8]) -> Option<Found> {
    let handle = value(body, 3)?.try_into().ok().map(u64::from_be_bytes)?;
    Some(Found { handle, comment: comment(body, 7) })
}

/// Ours by its comment, and used by nobody: attribute 6 counts a chain's rules and the jumps to it.
fn is_idle_forward(chain: &[u8]) -> bool {
    named(chain, 3).as_deref() == Some(forward::CHAIN)
        && comment(chain, 12).as_deref() == Some(COMMENT)
        && value(chain, 6) == Some(&[0; 4])
}

/// The comment in user data of this attribute: its type is 0; then come its length and its text.
fn comment(body: &[u8], kind: u16) -> Option<String> {
    value(body, kind).filter(|data| data.first() == Some(&0)).and_then(|data| data.get(2..)).and_then(string)
}

/// The value of an attribute of a message that begins with nfgenmsg.
fn value(body: &[u8], kind: u16) -> Option<&[u8]> {
    let mut rest = body.get(FAMILY..)?;
    while let Some((head, _)) = rest.split_at_checked(4) {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]])).max(4);
        if u16::from_ne_bytes([head[2], head[3]]) & 0x3fff == kind {
            return rest.get(4..length);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn named(body: &[u8], kind: u16) -> Option<String> {
    value(body, kind).and_then(string)
}

/// Text up to its end mark.
fn string(bytes: &[u8]) -> Option<String> {
    bytes.split(|byte| *byte == 0).next().map(|text| String::from_utf8_lossy(text).into_owned())
}

/// All that the kernel answers before its last word.
fn ask(socket: &Socket, kind: u16, flags: i32, family: u8, attributes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    socket.send(&encode(kind, flags, 0, family, 0, attributes), 0)?;
    let mut bodies = Vec::new();
    loop {
        let (answer, _) = socket.recv_from_full()?;
        match read(&answer, &mut bodies) {
            None => {}
            Some(0) => return Ok(bodies),
            Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// Has a batch carried out, provided that the generation is still this one.
fn send(socket: &Socket, batch: &Batch, generation: u32) -> io::Result<()> {
    let (bytes, last) = batch.bytes(generation);
    socket.send(&bytes, 0)?;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        let mut rest = answer.as_slice();
        while let Some((number, errno)) = verdict(&mut rest) {
            if errno != 0 {
                return Err(io::Error::from_raw_os_error(errno));
            }
            if number == last {
                return Ok(());
            }
        }
    }
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// The next message of a datagram: its type, its number and its body.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u16, u32, &'a [u8])> {
    let (header, body) = bytes.split_at_checked(HEADER)?;
    let length = u32::from_ne_bytes(header[..4].try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(header[4..6].try_into().ok()?);
    let number = u32::from_ne_bytes(header[8..12].try_into().ok()?);
    *bytes = bytes.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
    Some((kind, number, body.get(..length.saturating_sub(HEADER)).unwrap_or(body)))
}

/// The next acknowledgement: whose it is, and the error number, 0 for the good end.
fn verdict(bytes: &mut &[u8]) -> Option<(u32, i32)> {
    loop {
        let (kind, number, body) = next(bytes)?;
        if kind == NLMSG_ERROR {
            return Some((number, -i32::from_ne_bytes(body.get(..4)?.try_into().ok()?)));
        }
    }
}

/// Goes through the messages of one datagram; the kernel's verdict once it has come, 0 for the good end.
fn read(mut bytes: &[u8], bodies: &mut Vec<Vec<u8>>) -> Option<i32> {
    while let Some((kind, _, body)) = next(&mut bytes) {
        match kind {
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

    const NEW_TABLE: u16 = 10 << 8;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn answers() {
        let ipv4 = message(NEW_TABLE, b"\x02\0\0\0\x08\0\x01\0nat\0");
        let own = message(NEW_TABLE, b"\x02\0\0\0\x09\0\x01\0dind\0\0\0\0");
        let bridge = message(NEW_TABLE, &[7, 0, 0, 0]);
        let done = message(NLMSG_DONE, &[0; 4]);
        let denied = message(NLMSG_ERROR, &(-nix::libc::EPERM).to_ne_bytes());
        for (bytes, verdict, tables, ours) in [
            ([bridge.clone(), ipv4.clone()].concat(), None, Tables::Present, false),
            ([bridge, own, done.clone()].concat(), Some(0), Tables::Empty, true),
            ([ipv4.clone(), done].concat(), Some(0), Tables::Present, false),
            (denied.clone(), Some(nix::libc::EPERM), Tables::Empty, false),
            (ipv4[..10].to_vec(), None, Tables::Empty, false),
            (Vec::new(), None, Tables::Empty, false),
        ] {
            let mut bodies = Vec::new();
            assert_eq!(read(&bytes, &mut bodies), verdict, "{bytes:?}");
            let content = Content { tables: super::tables(&bodies), ..Content::default() };
            assert_eq!(content.listing(), Listing { tables, own: ours, ..Listing::default() }, "{bytes:?}");
        }
        assert_eq!(super::verdict(&mut denied.as_slice()), Some((0, nix::libc::EPERM)));
        assert_eq!(super::verdict(&mut &denied[..17]), None);
    }
}
