//! What is decided about IPv6, and what is in its way.

use crate::report::WhyNot;
use dind_contract::Fault;
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// Inner containers on the outer network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The node's own address, which stays on the bridge.
    pub address: Ipv6Net,
    /// The outer gateway; one that is link-local is reached through the node.
    pub gateway: Ipv6Addr,
    /// The addresses of inner containers.
    pub range: Ipv6Net,
    /// How far from the own address the range was asked to be; nothing where the engine chooses.
    pub offset: Option<Ipv6Addr>,
}

/// Why there is no IPv6.
pub(super) enum Obstacle {
    /// It cannot be: in one word, in words, and what can be done about it.
    Reason(WhyNot, String, &'static str),
    /// A range that was computed, and refused.
    Range(Fault),
}

impl Obstacle {
    pub(super) fn new(reason: WhyNot, words: impl Into<String>, hint: &'static str) -> Self {
        Self::Reason(reason, words.into(), hint)
    }
}
