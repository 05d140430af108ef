//! Private networks for the default bridge and for user-defined networks, that overlap nothing the container can reach.

use crate::facts::Facts;
use crate::facts::recorded::Recorded;
use crate::fault;
use crate::options::Options;
use crate::plan::reached::{Taken, overlapping, reached, routed, subnets};
use crate::plan::user_pools;
use crate::values::AddressPool;
use dind_contract::{Fault, Warning};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// The bridge's own network, and those that user-defined networks are cut from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    /// Address of the bridge with prefix length.
    pub bridge: Ipv4Net,
    /// What user-defined networks are cut from.
    pub pools: Vec<AddressPool>,
}

/// How many pools are handed out at most: at 256 networks each there is no need for more.
const POOLS: usize = 3;
/// Prefix length of user-defined networks.
const NETWORK_SIZE: u8 = 24;
/// The first and last of the networks of 10.0.0.0/8 that are tried.
const RARE: (u8, u8) = (200, 231);

/// Networks that are free, or cut from the pool that was asked for: its lower half is the bridge's, its upper half is cut up.
/// Where the user has pools for the engine, the bridge is cut from them, too, as dockerd does it.
///
/// The subnets of the engine's own record are kept away from the bridge alone: dockerd cuts no network from a pool where one is.
///
/// # Errors
/// [`fault::POOL_OVERLAPS`] and [`fault::POOL_EXHAUSTED`].
pub fn networks(facts: &Facts, options: &Options, warnings: &mut Vec<Warning>) -> Result<Networks, Fault> {
    let mut reached = reached(facts);
    let settled = options.bip.or(options.pool).is_some();
    let user_pools = user_pools::check(&options.address_pools, options.engine, settled, &reached, warnings)?;
    if let Some(bip) = options.bip {
        const HINT: &str = "choose another address for the bridge (bip, DIND_NET_BIP), or leave it unset";
        check(&bip, bip.trunc(), &reached, HINT, warnings)?;
        reached.push(Taken::near(bip.trunc(), "the subnet of the bridge"));
    }
    let recorded = facts.recorded.iter();
    let recorded: Vec<_> = recorded
        .map(|it| Taken::near(it.subnet, format!("the network `{}` of the engine", it.network)))
        .collect();
    if let Some(pool) = options.pool {
        check(&pool, pool, &reached, HINT, warnings)?;
        let halves = split(pool, pool.prefix_len() + 1)?;
        if options.bip.is_none() {
            check(&pool, halves[0], &recorded, HINT, warnings)?;
        }
        let bridge = options.bip.unwrap_or_else(|| first_host(halves[0]));
        return Ok(Networks { bridge, pools: user_pools.unwrap_or_else(|| vec![asked_pool(halves[1])]) });
    }
    if let Some(pools) = user_pools {
        let bridge = match options.bip {
            Some(bip) => bip,
            None => first_host(user_pools::bridge(&options.address_pools, &reached, &recorded)?),
        };
        return Ok(Networks { bridge, pools });
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
pub fn pools(
    facts: &Facts,
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<AddressPool>, Fault> {
    let reached = reached(facts);
    if let Some(pools) = user_pools::check(&options.address_pools, options.engine, true, &reached, warnings)?
    {
        return Ok(pools);
    }
    if let Some(pool) = options.pool {
        check(&pool, pool, &reached, HINT, warnings)?;
        return Ok(vec![asked_pool(pool)]);
    }
    let pools = first_pools(candidates(facts).filter(|net| overlapping(*net, &reached).is_none()).collect());
    if pools.is_empty() { Err(exhausted()) } else { Ok(pools) }
}

/// The pool that was asked for, on a node of which no more is known than its subnet.
///
/// # Errors
/// [`fault::POOL_OVERLAPS`].
pub fn asked_beside(pool: Ipv4Net, subnet: Ipv4Net) -> Result<AddressPool, Fault> {
    check(&pool, pool, &[Taken::near(subnet, "the subnet of the container")], HINT, &mut Vec::new())?;
    Ok(asked_pool(pool))
}

/// One for each network of the record that the container cannot tell from what it reaches now. In bridged mode that goes for
/// networks of any driver: dockerd gives none the subnet of its default bridge.
#[must_use]
pub fn collisions(facts: &Facts, options: &Options) -> Vec<Warning> {
    let reached = reached(facts);
    let collision = |it: &Recorded| {
        let Taken { net: other, what, .. } = overlapping(it.subnet, &reached)?;
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

/// What helps against a pool that cannot be.
const HINT: &str = "choose another DIND_NET_POOL, or leave it unset";

/// Refuses what the user asks for where a part of it is somebody else's. What is behind a gateway is his to give up.
fn check(
    asked: &Ipv4Net,
    part: Ipv4Net,
    taken: &[Taken],
    hint: &str,
    warnings: &mut Vec<Warning>,
) -> Result<(), Fault> {
    let overlaps: Vec<_> = taken.iter().filter(|other| other.overlaps(part)).collect();
    match overlaps.iter().find(|other| !other.far).or(overlaps.first()) {
        None => {}
        Some(Taken { net, what, far: true }) => warnings.push(routed(asked, *net, what)),
        Some(Taken { net, what, .. }) => {
            return Err(fault::POOL_OVERLAPS
                .cannot("use", asked, format!("it overlaps {net}, {what}"))
                .hint(hint));
        }
    }
    Ok(())
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

fn first_pools(free: Vec<Ipv4Net>) -> Vec<AddressPool> {
    let pool = |net: Ipv4Net| AddressPool { base: net.into(), size: NETWORK_SIZE };
    free.into_iter().take(POOLS).map(pool).collect()
}

/// Eight networks of a small pool at least.
fn asked_pool(pool: Ipv4Net) -> AddressPool {
    AddressPool { base: pool.into(), size: NETWORK_SIZE.max(pool.prefix_len() + 3) }
}

fn split(pool: Ipv4Net, half: u8) -> Result<Vec<Ipv4Net>, Fault> {
    let halves = pool.subnets(half).map_err(|error| fault::POOL_INVALID.cannot("split", pool, error))?;
    Ok(halves.collect())
}

fn first_host(net: Ipv4Net) -> Ipv4Net {
    let address = Ipv4Addr::from(u32::from(net.network()) + 1);
    Ipv4Net::new(address, net.prefix_len()).unwrap_or(net)
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
