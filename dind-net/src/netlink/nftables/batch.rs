//! Messages for nf_tables in its own encoding: tables, chains and rules, sent as one batch.
//!
//! Numbers and layouts are those of linux/netfilter/nfnetlink.h and nf_tables.h; `nft --debug=netlink` shows the same.

use nix::libc;
use std::net::Ipv4Addr;

/// `NFNL_SUBSYS_NFTABLES`, the upper byte of message types.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = (SUBSYSTEM << 8) | 2;
const NEWCHAIN: u16 = (SUBSYSTEM << 8) | 3;
const DELCHAIN: u16 = (SUBSYSTEM << 8) | 5;
const NEWRULE: u16 = (SUBSYSTEM << 8) | 6;
const DELRULE: u16 = (SUBSYSTEM << 8) | 8;
/// nlmsghdr and nfgenmsg.
const HEADER: usize = 20;

/// `NF_INET_PRE_ROUTING`.
pub(crate) const PREROUTING: u32 = 0;
/// `NF_INET_FORWARD`.
pub(crate) const FORWARD: u32 = 2;
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

/// Messages that nf_tables takes as one, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch(Vec<Message>);

#[derive(Clone, Debug)]
struct Message {
    kind: u16,
    flags: i32,
    attributes: Vec<u8>,
}

impl Batch {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes a table of IPv4 with all that is in it.
    pub(crate) fn remove_table(&mut self, table: &str) {
        self.push(DELTABLE, 0, text(1, table));
    }

    pub(crate) fn table(&mut self, table: &str) {
        self.push(NEWTABLE, libc::NLM_F_CREATE, text(1, table));
    }

    /// A chain of type `kind` at a hook; chains of lower priority come first.
    pub(crate) fn chain(&mut self, table: &str, name: &str, kind: &str, hook: u32, priority: i32) {
        self.hooked_chain(table, name, kind, hook, priority, &[]);
    }

    /// The chain of `iptables-nft` for what is forwarded, which drops what no rule accepts, with a comment.
    pub(crate) fn forward_chain(&mut self, table: &str, name: &str, words: &str) {
        // Policy 0 is NF_DROP. Kernels before 5.9 keep no comment on a chain.
        let more = [number(5, 0), attribute(12, &comment(words))].concat();
        self.hooked_chain(table, name, "filter", FORWARD, 0, &more);
    }

    fn hooked_chain(&mut self, table: &str, name: &str, kind: &str, hook: u32, priority: i32, more: &[u8]) {
        let place = [number(1, hook), attribute(2, &priority.to_be_bytes())].concat();
        let parts = [text(1, table), text(3, name), nested(4, &place), text(7, kind), more.to_vec()];
        self.push(NEWCHAIN, libc::NLM_F_CREATE, parts.concat());
    }

    /// Takes a chain away that has no rule.
    pub(crate) fn remove_chain(&mut self, table: &str, name: &str) {
        self.push(DELCHAIN, 0, [text(1, table), text(3, name)].concat());
    }

    /// A chain that others jump to.
    pub(crate) fn plain_chain(&mut self, table: &str, name: &str) {
        self.push(NEWCHAIN, libc::NLM_F_CREATE, [text(1, table), text(3, name)].concat());
    }

    /// A rule at the chain's beginning, with a comment that iptables shows too.
    pub(crate) fn first_rule(&mut self, table: &str, chain: &str, expressions: &[u8], words: &str) {
        let parts = [text(1, table), text(2, chain), nested(4, expressions), attribute(7, &comment(words))];
        self.push(NEWRULE, libc::NLM_F_CREATE, parts.concat());
    }

    /// Takes one rule out of a chain.
    pub(crate) fn remove_rule(&mut self, table: &str, chain: &str, handle: u64) {
        let parts = [text(1, table), text(2, chain), attribute(3, &handle.to_be_bytes())];
        self.push(DELRULE, 0, parts.concat());
    }

    /// A rule at the chain's end: expressions one after the other.
    pub(crate) fn rule(&mut self, table: &str, chain: &str, expressions: &[u8]) {
        let parts = [text(1, table), text(2, chain), nested(4, expressions)];
        self.push(NEWRULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, parts.concat());
    }

    fn push(&mut self, kind: u16, flags: i32, attributes: Vec<u8>) {
        self.0.push(Message { kind, flags, attributes });
    }

    /// The tables and rules that go, in words.
    #[cfg(test)]
    pub(crate) fn removals(&self) -> String {
        let word = |message: &Message| {
            let last = message.attributes.len();
            match message.kind {
                // Handles are small in tests.
                DELRULE => Some(message.attributes[last - 1].to_string()),
                DELTABLE | DELCHAIN => {
                    let words = message.attributes.split(|byte| !byte.is_ascii_alphabetic());
                    let words = words.filter(|word| !word.is_empty()).map(String::from_utf8_lossy);
                    Some(words.collect::<Vec<_>>().join(" "))
                }
                _ => None,
            }
        };
        self.0.iter().filter_map(word).collect::<Vec<_>>().join(" ")
    }

    /// All bytes, and the number of the last message, which alone asks for an acknowledgement. The kernel answers
    /// `ERESTART`, and does nothing, when its generation is another one (`NFNL_BATCH_GENID`).
    #[must_use]
    pub fn bytes(&self, generation: u32) -> (Vec<u8>, u32) {
        let edge = |kind, index, attributes: &[u8]| encode(kind, 0, index, 0, SUBSYSTEM, attributes);
        let mut bytes = edge(BATCH_BEGIN, 0, &number(1, generation));
        let mut last = 0;
        for (message, index) in self.0.iter().zip(1..) {
            let ack = if index as usize == self.0.len() { libc::NLM_F_ACK } else { 0 };
            last = index;
            let family = libc::NFPROTO_IPV4 as u8;
            bytes.extend(encode(message.kind, message.flags | ack, index, family, 0, &message.attributes));
        }
        bytes.extend(edge(BATCH_END, last + 1, &[]));
        (bytes, last)
    }
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
    let mut bytes = ((HEADER + attributes.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(((flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nested(kind: u16, attributes: &[u8]) -> Vec<u8> {
    attribute(kind | libc::NLA_F_NESTED as u16, attributes)
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

pub(crate) fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

/// A comment as user data: its type is 0 (libnftnl, udata.h); then come its length and its text.
fn comment(words: &str) -> Vec<u8> {
    [&[0, words.len() as u8 + 1], words.as_bytes(), &[0]].concat()
}

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
