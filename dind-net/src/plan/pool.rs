//! Private networks for the default bridge and for user-defined networks, that overlap nothing the container can reach.

use crate::facts::Facts;
use crate::facts::recorded::Recorded;
use crate::fault;
use crate::options::{DOCKER_BRIDGE, Options};
use dind_contract::{Fault, Warning};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

/// A network, and the prefix length of the networks that are cut from it.
pub type Pool = (Ipv4Net, u8);

/// The bridge's own network, and those that user-defined networks are cut from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    /// Address of the bridge with prefix length.
    pub bridge: Ipv4Net,
    /// Each with the prefix length of the networks cut from it.
    pub pools: Vec<Pool>,
}

/// How many pools are handed out at most: at 256 networks each there is no need for more.
const POOLS: usize = 3;
/// Prefix length of user-defined networks.
const NETWORK_SIZE: u8 = 24;
/// The first and last of the networks of 10.0.0.0/8 that are tried.
const RARE: (u8, u8) = (200, 231);

/// Networks that are free, or cut from the pool that was asked for: its lower half is the bridge's, its upper half is cut up.
///
/// The subnets of the engine's own record are kept away from the bridge alone: dockerd cuts no network from a pool where one is.
///
/// # Errors
/// [`fault::POOL_OVERLAPS`] and [`fault::POOL_EXHAUSTED`].
pub fn networks(facts: &Facts, options: &Options) -> Result<Networks, Fault> {
    let mut reached = reached(facts);
    if let Some(bip) = options.bip {
        if let Some((other, what)) = overlapping(bip.trunc(), &reached) {
            return Err(fault::POOL_OVERLAPS
                .cannot("use", bip, format!("it overlaps {other}, {what}"))
                .hint("choose another address for the bridge (bip, DIND_NET_BIP), or leave it unset"));
        }
        reached.push((bip.trunc(), "the subnet of the bridge".to_owned()));
    }
    let recorded = facts.recorded.iter();
    let recorded: Vec<_> =
        recorded.map(|it| (it.subnet, format!("the network `{}` of the engine", it.network))).collect();
    if let Some(pool) = options.pool {
        check(pool, pool, &reached)?;
        let halves = split(pool, pool.prefix_len() + 1)?;
        if options.bip.is_none() {
            check(pool, halves[0], &recorded)?;
        }
        let bridge = options.bip.unwrap_or_else(|| first_host(halves[0]));
        return Ok(Networks { bridge, pools: vec![asked_pool(halves[1])] });
    }
    let mut free: Vec<_> = candidates(facts).filter(|net| overlapping(*net, &reached).is_none()).collect();
    let Some(at) = free.iter().position(|net| overlapping(*net, &recorded).is_none()) else {
        return Err(exhausted());
    };
    let bridge = options.bip.unwrap_or_else(|| first_host(free.remove(at)));
    Ok(Networks { bridge, pools: first_pools(free) })
}

/// Pools alone, where the bridge is on another network or does not exist.
///
/// # Errors
/// [`fault::POOL_OVERLAPS`] and [`fault::POOL_EXHAUSTED`].
pub fn pools(facts: &Facts, options: &Options) -> Result<Vec<Pool>, Fault> {
    let reached = reached(facts);
    if let Some(pool) = options.pool {
        check(pool, pool, &reached)?;
        return Ok(vec![asked_pool(pool)]);
    }
    let pools = first_pools(candidates(facts).filter(|net| overlapping(*net, &reached).is_none()).collect());
    if pools.is_empty() { Err(exhausted()) } else { Ok(pools) }
}

/// The pool that was asked for, on a node of which no more is known than its subnet.
///
/// # Errors
/// [`fault::POOL_OVERLAPS`].
pub fn asked_beside(pool: Ipv4Net, subnet: Ipv4Net) -> Result<Pool, Fault> {
    check(pool, pool, &[(subnet, "the subnet of the container".to_owned())])?;
    Ok(asked_pool(pool))
}

/// One for each network of the record that the container cannot tell from what it reaches now. In bridged mode that goes for
/// networks of any driver: dockerd gives none the subnet of its default bridge.
#[must_use]
pub fn collisions(facts: &Facts, options: &Options) -> Vec<Warning> {
    let reached = reached(facts);
    let collision = |it: &Recorded| {
        let (other, what) = overlapping(it.subnet, &reached)?;
        Some(Warning::new(
            fault::NETWORK_COLLIDES,
            format!("the network `{}` of the engine, {}, overlaps {other}, {what}", it.network, it.subnet),
            format!(
                "what is there cannot be reached: remove the network with `docker network rm {}` and create it again, or \
                 connect the container to another outer network",
                it.network
            ),
        ))
    };
    let recorded = facts.recorded.iter().filter(|it| it.is_bridge || options.offset.is_some());
    recorded.filter_map(collision).collect()
}

/// A network, and a word for it.
type Taken = (Ipv4Net, String);

fn overlapping(net: Ipv4Net, taken: &[Taken]) -> Option<&Taken> {
    taken.iter().find(|(other, _)| net.contains(other) || other.contains(&net))
}

fn check(pool: Ipv4Net, part: Ipv4Net, taken: &[Taken]) -> Result<(), Fault> {
    let Some((other, what)) = overlapping(part, taken) else { return Ok(()) };
    Err(fault::POOL_OVERLAPS
        .cannot("use", pool, format!("it overlaps {other}, {what}"))
        .hint("choose another DIND_NET_POOL, or leave it unset"))
}

fn exhausted() -> Fault {
    let cause = "the container reaches all of 10.200.0.0 to 10.231.255.255, 192.168.0.0 to 192.168.255.255 and \
                 172.17.0.0 to 172.31.255.255";
    fault::POOL_EXHAUSTED
        .failed("cannot find a free network", cause)
        .hint("set DIND_NET_POOL to a network that nobody needs")
}

/// Some of 10.0.0.0/8 that are rarely used and that no Docker Engine gives away by itself. Then what Docker gives away, the last
/// of it first (moby, libnetwork/ipamutils): the container may be connected to one more network of its outer engine any time.
///
/// An outer engine may have its pools from us. They follow its bridge, so the search begins behind those that may be its own.
fn candidates(facts: &Facts) -> impl Iterator<Item = Ipv4Net> + use<> {
    let (first, last) = (usize::from(RARE.0), usize::from(RARE.1));
    let on_links = subnets(facts).filter_map(|(net, _)| match net.network().octets() {
        [10, second, ..] if net.prefix_len() >= 16 && (RARE.0..=RARE.1).contains(&second) => Some(second),
        _ => None,
    });
    let begin = on_links.max().map_or(first, |outer| usize::from(outer) + 1 + POOLS);
    let count = last - first + 1;
    let rare =
        (0..count).map(move |n| (Ipv4Addr::new(10, (first + (begin - first + n) % count) as u8, 0, 0), 16));
    let home = (0..=240).step_by(16).map(|third| (Ipv4Addr::new(192, 168, third, 0), 20));
    let docker = (17..=31).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
    rare.chain(home).chain(docker).filter_map(|(address, prefix)| Ipv4Net::new(address, prefix).ok())
}

fn first_pools(free: Vec<Ipv4Net>) -> Vec<Pool> {
    free.into_iter().take(POOLS).map(|pool| (pool, NETWORK_SIZE)).collect()
}

/// Eight networks of a small pool at least.
fn asked_pool(pool: Ipv4Net) -> Pool {
    (pool, NETWORK_SIZE.max(pool.prefix_len() + 3))
}

fn split(pool: Ipv4Net, half: u8) -> Result<Vec<Ipv4Net>, Fault> {
    let halves = pool.subnets(half).map_err(|error| fault::POOL_INVALID.cannot("split", pool, error))?;
    Ok(halves.collect())
}

fn first_host(net: Ipv4Net) -> Ipv4Net {
    let address = Ipv4Addr::from(u32::from(net.network()) + 1);
    Ipv4Net::new(address, net.prefix_len()).unwrap_or(net)
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
fn subnets(facts: &Facts) -> impl Iterator<Item = (Ipv4Net, &str)> {
    let before = facts.original.iter().flat_map(|original| &original.before.addresses);
    let addresses = facts.net.addresses.iter().chain(before);
    addresses.filter(|address| !is_ours(facts, &address.link)).filter_map(|address| match address.address {
        IpNet::V4(net) => Some((net.trunc(), address.link.as_str())),
        IpNet::V6(_) => None,
    })
}

/// What the container reaches, each with a word for it. Default routes reach everything, and do not count; neither
/// do the halves of 0.0.0.0/0 that VPNs install in their stead.
fn reached(facts: &Facts) -> Vec<Taken> {
    let mut reached: Vec<_> =
        subnets(facts).map(|(net, link)| (net, format!("the subnet of {link}"))).collect();
    let before = facts.original.iter().flat_map(|original| &original.before.routes);
    let routes = facts.net.routes.iter().chain(before);
    for route in routes.filter(|route| !is_ours(facts, &route.link)) {
        match route.to {
            IpNet::V4(to) if to.prefix_len() > 1 => {
                reached.push((to, format!("a route over {}", route.link)));
            }
            _ => {}
        }
    }
    for resolver in &facts.resolv_conf.servers {
        if let IpAddr::V4(address) = resolver {
            reached.push(((*address).into(), "a name server".to_owned()));
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

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
