//! What the container reaches, and so no network of its engine may be.

use crate::facts::Facts;
use crate::fault;
use crate::options::DOCKER_BRIDGE;
use dind_contract::Warning;
use ipnet::{IpNet, Ipv4Net};
use std::fmt::Display;
use std::net::IpAddr;

/// A network that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The network.
    pub net: Ipv4Net,
    /// A word for it.
    pub what: String,
    /// It is behind a gateway. Who says that he needs nothing of what is there may have it.
    pub far: bool,
}

impl Taken {
    /// One that is nobody else's to have.
    #[must_use]
    pub fn near(net: Ipv4Net, what: impl Into<String>) -> Self {
        Self { net, what: what.into(), far: false }
    }

    /// Whether they have addresses in common.
    #[must_use]
    pub fn overlaps(&self, net: Ipv4Net) -> bool {
        net.contains(&self.net) || self.net.contains(&net)
    }
}

/// The first of them that has addresses in common with a network.
#[must_use]
pub fn overlapping(net: Ipv4Net, taken: &[Taken]) -> Option<&Taken> {
    taken.iter().find(|other| other.overlaps(net))
}

/// The first network of this prefix length in another one that overlaps nothing. What is free as a whole is not looked into.
#[must_use]
pub fn first_free(net: Ipv4Net, prefix: u8, taken: &[Taken]) -> Option<Ipv4Net> {
    if overlapping(net, taken).is_none() {
        return Ipv4Net::new(net.network(), prefix.max(net.prefix_len())).ok();
    }
    if net.prefix_len() >= prefix || taken.iter().any(|other| other.net.contains(&net)) {
        return None;
    }
    net.subnets(net.prefix_len() + 1).ok()?.find_map(|half| first_free(half, prefix, taken))
}

/// The warning of a network that the user insists on.
#[must_use]
pub fn routed(asked: impl Display, net: Ipv4Net, what: &str) -> Warning {
    Warning::new(
        fault::POOL_ROUTED,
        format!(
            "{asked} overlaps {net}, {what}: what is there has addresses that inner containers cannot reach"
        ),
        "choose another network if they need any of it",
    )
}

/// Whether a link is nobody's but our engine's. In a network that others share, none is known to be.
pub(crate) fn is_ours(facts: &Facts, link: &str) -> bool {
    !facts.host_network && facts.other_engine.is_none() && (is_engines(link) || is_recorded(facts, link))
}

/// Whether a link is the bridge of a network of the record, whatever its user has called it.
fn is_recorded(facts: &Facts, link: &str) -> bool {
    let is_bridge = facts.net.link(link).is_some_and(|link| link.kind.as_deref() == Some("bridge"));
    let recorded = |subnet: IpNet| facts.recorded.iter().any(|it| it.is_bridge && subnet == it.subnet.into());
    is_bridge && facts.net.addresses_of(link).any(|address| recorded(address.address.trunc()))
}

/// The subnets of all links, as they are and as they were before a bridge took the uplink's.
pub(super) fn subnets(facts: &Facts) -> impl Iterator<Item = (Ipv4Net, &str)> {
    let before = facts.original.iter().flat_map(|original| &original.before.addresses);
    let addresses = facts.net.addresses.iter().chain(before);
    addresses.filter(|address| !is_ours(facts, &address.link)).filter_map(|address| match address.address {
        IpNet::V4(net) => Some((net.trunc(), address.link.as_str())),
        IpNet::V6(_) => None,
    })
}

/// What the container reaches, each with a word for it. Default routes reach everything, and do not count; neither
/// do the halves of 0.0.0.0/0 that VPNs install in their stead.
#[must_use]
pub fn reached(facts: &Facts) -> Vec<Taken> {
    let mut reached: Vec<_> =
        subnets(facts).map(|(net, link)| Taken::near(net, format!("the subnet of {link}"))).collect();
    let before = facts.original.iter().flat_map(|original| &original.before.routes);
    let routes = facts.net.routes.iter().chain(before);
    for route in routes.filter(|route| !is_ours(facts, &route.link)) {
        match route.to {
            IpNet::V4(to) if to.prefix_len() > 1 => {
                let what = format!("a route over {}", route.link);
                reached.push(Taken { net: to, what, far: route.gateway.is_some() });
            }
            _ => {}
        }
    }
    for resolver in &facts.resolv_conf.servers {
        if let IpAddr::V4(address) = resolver {
            reached.push(Taken::near((*address).into(), "a name server"));
        }
    }
    reached
}

/// Bridges that an engine made in this very namespace before: docker0, and `br-` with the first digits of a network's id.
fn is_engines(link: &str) -> bool {
    link == DOCKER_BRIDGE
        || link
            .strip_prefix("br-")
            .is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
