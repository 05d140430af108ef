//! Changes of nf_tables, sent as one transaction: tables, chains and rules that come or go.

use crate::netlink::nftables::message::{SUBSYSTEM, attribute, comment, encode, kind, nested, number, text};
use nix::libc;
use std::time::Duration;

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
pub(super) const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
pub(super) const NEWTABLE: u16 = kind(0);
const DELTABLE: u16 = kind(2);
pub(super) const NEWCHAIN: u16 = kind(3);
const DELCHAIN: u16 = kind(5);
pub(super) const NEWRULE: u16 = kind(6);
const DELRULE: u16 = kind(8);
pub(super) const NEWSET: u16 = kind(9);

/// `NF_INET_PRE_ROUTING`.
pub(crate) const PREROUTING: u32 = 0;
/// `NF_INET_FORWARD`.
pub(crate) const FORWARD: u32 = 2;
/// `NF_INET_LOCAL_OUT`.
pub(crate) const OUTPUT: u32 = 3;
/// Where a chain is hooked in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook {
    /// `filter` or `nat`.
    pub(crate) kind: &'static str,
    /// [`PREROUTING`], [`FORWARD`] or [`OUTPUT`].
    pub(crate) number: u32,
    /// Chains of lower priority come first.
    pub(crate) priority: i32,
}

/// Messages that nf_tables carries out as one, or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    messages: Vec<Message>,
    family: u8,
}

#[derive(Clone, Debug)]
struct Message {
    kind: u16,
    family: u8,
    flags: i32,
    attributes: Vec<u8>,
}

/// One of IPv4.
impl Default for Batch {
    fn default() -> Self {
        Self { messages: Vec::new(), family: libc::NFPROTO_IPV4 as u8 }
    }
}

impl Batch {
    /// What is added from here on is of this `NFPROTO_*`.
    pub(crate) fn of_family(&mut self, family: i32) {
        self.family = family as u8;
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Removes a table with all that is in it.
    pub(crate) fn remove_table(&mut self, table: &str) {
        self.push(DELTABLE, 0, text(1, table));
    }

    /// A table, unless it exists.
    pub(crate) fn table(&mut self, table: &str) {
        self.push(NEWTABLE, libc::NLM_F_CREATE, text(1, table));
    }

    /// A set of hardware addresses that rules add to, each for a time.
    pub(crate) fn address_set(&mut self, table: &str, name: &str, size: u32, time: Duration) {
        // What nft shows for elements of this type, `ether_addr` (libnftables, datatype.h).
        let kind = [number(4, 9), number(5, 6)];
        let time = attribute(11, &(time.as_millis() as u64).to_be_bytes());
        let flags = number(3, (libc::NFT_SET_TIMEOUT | libc::NFT_SET_EVAL) as u32);
        // The kernel knows a set of this transaction by a number, too.
        let parts = [
            text(1, table),
            text(2, name),
            flags,
            kind.concat(),
            nested(9, &number(1, size)),
            number(10, 1),
            time,
        ];
        self.push(NEWSET, libc::NLM_F_CREATE, parts.concat());
    }

    /// A chain at a hook, where the kernel sends packets through it.
    pub(crate) fn chain(&mut self, table: &str, name: &str, hook: Hook) {
        self.hooked_chain(table, name, hook, &[]);
    }

    /// A chain that drops what no rule accepts.
    pub(crate) fn closed_chain(&mut self, table: &str, name: &str, hook: Hook) {
        self.hooked_chain(table, name, hook, &number(5, libc::NF_DROP as u32));
    }

    /// The same with a comment. Kernels before 5.9 do not keep comments of chains.
    pub(crate) fn dropping_chain(&mut self, table: &str, name: &str, hook: Hook, words: &str) {
        let policy = number(5, libc::NF_DROP as u32);
        self.hooked_chain(table, name, hook, &[policy, attribute(12, &comment(words))].concat());
    }

    fn hooked_chain(&mut self, table: &str, name: &str, hook: Hook, more: &[u8]) {
        let place = [number(1, hook.number), attribute(2, &hook.priority.to_be_bytes())].concat();
        let parts = [text(1, table), text(3, name), nested(4, &place), text(7, hook.kind), more.to_vec()];
        self.push(NEWCHAIN, libc::NLM_F_CREATE, parts.concat());
    }

    /// Removes a chain without rules.
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

    /// Removes one rule from a chain.
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
        self.messages.push(Message { kind, family: self.family, flags, attributes });
    }

    /// The tables, chains and rules that are removed, in words.
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
        self.messages.iter().filter_map(word).collect::<Vec<_>>().join(" ")
    }

    /// All bytes, and the number of the last message, which alone asks for an acknowledgement. The kernel answers
    /// `ERESTART`, and changes nothing, when its generation is another one (`NFNL_BATCH_GENID`).
    #[must_use]
    pub fn bytes(&self, generation: u32) -> (Vec<u8>, u32) {
        let edge = |kind, index, attributes: &[u8]| encode(kind, 0, index, 0, SUBSYSTEM, attributes);
        let mut bytes = edge(BATCH_BEGIN, 0, &number(1, generation));
        let mut last = 0;
        for (message, index) in self.messages.iter().zip(1..) {
            let ack = if index as usize == self.messages.len() { libc::NLM_F_ACK } else { 0 };
            last = index;
            let flags = message.flags | ack;
            bytes.extend(encode(message.kind, flags, index, message.family, 0, &message.attributes));
        }
        bytes.extend(edge(BATCH_END, last + 1, &[]));
        (bytes, last)
    }
}
