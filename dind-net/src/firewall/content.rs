//! What nf_tables holds, as far as it matters to us. [`super::transaction`] changes it.

use crate::firewall::names::{COMMENT, DOCKER_USER, FILTER, FORWARD_CHAIN, TABLE};
use crate::netlink::nftables::answer::{Chain, Rule, Table};
use crate::netlink::nftables::socket::Conversation;
use crate::netlink::transient;
use nix::libc::{EPERM, NFPROTO_BRIDGE, NFPROTO_IPV4, NFPROTO_IPV6};
use serde::{Deserialize, Serialize};
use std::io;

const IPV4: u8 = NFPROTO_IPV4 as u8;
const IPV6: u8 = NFPROTO_IPV6 as u8;
const BRIDGE: u8 = NFPROTO_BRIDGE as u8;

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

/// The parts of [`Content`] that are facts for a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What others have.
    pub tables: Tables,
    /// Whether our own table exists.
    pub own: bool,
    /// The chain for what is forwarded.
    pub forward: ForwardChain,
}

/// The chain `FORWARD` of `ip filter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardChain {
    /// It does not exist, or cannot be seen.
    #[default]
    Missing,
    /// It is ours by its comment, and nobody uses it: it has no rule, and nothing jumps to it.
    OursUnused,
    /// It is somebody else's, or in use.
    InUse,
}

/// What nf_tables holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The kernel's number for this state of the rule set.
    pub generation: u32,
    /// Tables of IPv4, IPv6, and bridges.
    pub tables: Vec<Table>,
    /// The names of the chains of `ip filter`.
    pub filter: Vec<String>,
    /// The rules of `DOCKER-USER` in it.
    pub docker_user: Vec<Rule>,
    /// `FORWARD` in it.
    pub forward: ForwardChain,
}

/// Asks the kernel what it holds.
///
/// # Errors
/// One that says nothing of the kernel, and comes again and again: a decision is not made on it.
pub fn look() -> io::Result<Listing> {
    match transient::retry(|| Content::read(&Conversation::open()?)) {
        Ok(content) => Ok(content.listing()),
        Err(error) if error.raw_os_error() == Some(EPERM) => Ok(Listing::default()),
        Err(error) if transient::is_transient(&error) => Err(error),
        Err(_) => Ok(Listing { tables: Tables::Unavailable, ..Listing::default() }),
    }
}

impl Content {
    /// The generation first: what changes while the rest is read is noticed when the transaction is sent.
    pub(super) fn read(conversation: &Conversation) -> io::Result<Self> {
        let mut content = Self { generation: conversation.generation()?, ..Self::default() };
        content.tables = conversation.tables()?;
        content.tables.retain(|table| [IPV4, IPV6, BRIDGE].contains(&table.family));
        if content.has(FILTER) {
            let chains = conversation.chains(FILTER)?;
            let forward = chains.iter().find(|chain| chain.name == FORWARD_CHAIN);
            content.forward = forward.map_or(ForwardChain::Missing, ForwardChain::of);
            content.filter = chains.into_iter().map(|chain| chain.name).collect();
        }
        if content.filter.iter().any(|chain| chain == DOCKER_USER) {
            content.docker_user = conversation.rules(FILTER, DOCKER_USER)?;
        }
        Ok(content)
    }

    /// Whether there is a table of IPv4 of this name.
    #[must_use]
    pub fn has(&self, table: &str) -> bool {
        self.holds(IPV4, table)
    }

    /// The same of IPv6.
    #[must_use]
    pub fn has6(&self, table: &str) -> bool {
        self.holds(IPV6, table)
    }

    /// The same of bridges.
    #[must_use]
    pub fn has_bridge(&self, table: &str) -> bool {
        self.holds(BRIDGE, table)
    }

    fn holds(&self, family: u8, table: &str) -> bool {
        self.tables.iter().any(|found| found.family == family && found.name == table)
    }

    /// Our own rules in `DOCKER-USER`.
    pub(crate) fn our_rules(&self) -> impl Iterator<Item = &Rule> {
        self.docker_user.iter().filter(|rule| is_ours(rule))
    }

    /// Whether `ip filter` was made for our own rules in `DOCKER-USER`, and holds nothing else.
    pub(crate) fn filter_is_for_our_rules(&self) -> bool {
        self.filter == [DOCKER_USER] && !self.docker_user.is_empty() && self.docker_user.iter().all(is_ours)
    }

    /// Whether `ip filter` holds our `FORWARD`, and nothing else but what is ours.
    pub(crate) fn filter_is_ours(&self) -> bool {
        let known = |chain: &String| chain == FORWARD_CHAIN || chain == DOCKER_USER;
        self.forward == ForwardChain::OursUnused
            && self.filter.iter().all(known)
            && self.docker_user.iter().all(is_ours)
    }

    fn listing(&self) -> Listing {
        let filter = self.filter_is_for_our_rules() || self.filter_is_ours();
        let ours =
            |table: &Table| table.name == TABLE || (table.name == FILTER && table.family == IPV4 && filter);
        // Those of bridges decide nothing that is asked of iptables.
        let others = !self.tables.iter().filter(|table| table.family != BRIDGE).all(ours);
        Listing {
            tables: if others { Tables::Present } else { Tables::Empty },
            own: self.has(TABLE),
            forward: self.forward,
        }
    }
}

impl ForwardChain {
    fn of(chain: &Chain) -> Self {
        let ours = chain.comment.as_deref() == Some(COMMENT) && chain.uses == Some(0);
        if ours { Self::OursUnused } else { Self::InUse }
    }
}

fn is_ours(rule: &Rule) -> bool {
    rule.comment.as_deref() == Some(COMMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_does_not_count_as_present() {
        let table = |name: &str| Table { family: IPV4, name: name.to_owned() };
        let rule = |comment: &str| Rule { handle: 9, comment: Some(comment.to_owned()) };
        let forward = ForwardChain::OursUnused;
        for (content, tables, own) in [
            (Content::default(), Tables::Empty, false),
            (Content { tables: vec![table("nat")], ..Content::default() }, Tables::Present, false),
            (Content { tables: vec![table("dind")], ..Content::default() }, Tables::Empty, true),
            (
                Content { tables: vec![table("dind"), table("nat")], ..Content::default() },
                Tables::Present,
                true,
            ),
            (
                Content { tables: vec![Table { family: IPV6, ..table("dind") }], ..Content::default() },
                Tables::Empty,
                false,
            ),
            (
                Content { tables: vec![Table { family: BRIDGE, ..table("filter") }], ..Content::default() },
                Tables::Empty,
                false,
            ),
            (
                Content {
                    tables: vec![table("filter")],
                    filter: vec![DOCKER_USER.to_owned()],
                    docker_user: vec![rule("dind")],
                    ..Content::default()
                },
                Tables::Empty,
                false,
            ),
            (
                Content {
                    tables: vec![table("filter")],
                    filter: vec![FORWARD_CHAIN.to_owned(), DOCKER_USER.to_owned()],
                    docker_user: vec![rule("mine")],
                    forward,
                    ..Content::default()
                },
                Tables::Present,
                false,
            ),
            (
                Content {
                    tables: vec![table("filter")],
                    filter: vec![FORWARD_CHAIN.to_owned()],
                    forward,
                    ..Content::default()
                },
                Tables::Empty,
                false,
            ),
        ] {
            let expected = Listing { tables, own, forward: content.forward };
            assert_eq!(content.listing(), expected, "{content:?}");
        }
    }
}
