//! Default mode: private networks that overlap nothing the container can reach.

use crate::facts::Facts;
use crate::fault;
use crate::options::{DOCKER_BRIDGE, Options};
use dind_contract::Fault;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

/// The bridge's own network, and those that user-defined networks are cut from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    /// Address of the bridge with prefix length.
    pub bridge: Ipv4Net,
    /// Each with the prefix length of the networks cut from it.
    pub pools: Vec<(Ipv4Net, u8)>,
}

/// How many pools are handed out at most: at 256 networks each there is no need for more.
const POOLS: usize = 3;
/// Prefix length of user-defined networks.
const NETWORK_SIZE: u8 = 24;

/// Networks that are free, or cut from the pool that was asked for.
///
/// # Errors
/// [`fault::POOL_OVERLAPS`] and [`fault::POOL_EXHAUSTED`].
pub fn networks(facts: &Facts, options: &Options) -> Result<Networks, Fault> {
    let mut taken = taken(facts);
    if let Some(bip) = options.bip {
        if let Some((other, what)) = taken.iter().find(|(other, _)| overlap(&bip, other)) {
            return Err(fault::POOL_OVERLAPS
                .cannot("use", bip, format!("it overlaps {other}, {what}"))
                .hint("choose another address for the bridge (bip, DIND_NET_BIP), or leave it unset"));
        }
        taken.push((bip.trunc(), "the subnet of the bridge".to_owned()));
    }
    let overlapping = |net: &Ipv4Net| taken.iter().find(|(other, _)| overlap(net, other));
    if let Some(pool) = options.pool {
        if let Some((other, what)) = overlapping(&pool) {
            return Err(fault::POOL_OVERLAPS
                .cannot("use", pool, format!("it overlaps {other}, {what}"))
                .hint("choose another DIND_NET_POOL, or leave it unset"));
        }
        let networks = split(pool)?;
        return Ok(Networks { bridge: options.bip.unwrap_or(networks.bridge), ..networks });
    }
    let mut free = candidates().filter(|net| overlapping(net).is_none());
    let Some(bridge) = free.next() else {
        return Err(fault::POOL_EXHAUSTED
            .failed("cannot find a free network", "the container reaches all of 172.17.0.0 to 172.31.255.255, 10.200.0.0 to 10.231.255.255 and 192.168.0.0 to 192.168.255.255")
            .hint("set DIND_NET_POOL to a network that nobody needs"));
    };
    Ok(Networks {
        bridge: options.bip.unwrap_or_else(|| first_host(bridge)),
        pools: free.take(POOLS).map(|pool| (pool, NETWORK_SIZE)).collect(),
    })
}

/// Docker's own private networks, then some of 10.0.0.0/8 that are rarely used.
fn candidates() -> impl Iterator<Item = Ipv4Net> {
    let docker = (17..=31).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
    let rare = (200..=231).map(|second| (Ipv4Addr::new(10, second, 0, 0), 16));
    let home = (0..=240).step_by(16).map(|third| (Ipv4Addr::new(192, 168, third, 0), 20));
    docker.chain(rare).chain(home).filter_map(|(address, prefix)| Ipv4Net::new(address, prefix).ok())
}

/// The lower half is the bridge's, the upper half is cut up.
fn split(pool: Ipv4Net) -> Result<Networks, Fault> {
    let half = pool.prefix_len() + 1;
    let halves = pool.subnets(half).map_err(|error| fault::POOL_INVALID.cannot("split", pool, error))?;
    let halves: Vec<_> = halves.collect();
    Ok(Networks { bridge: first_host(halves[0]), pools: vec![(halves[1], NETWORK_SIZE.max(half + 3))] })
}

fn first_host(net: Ipv4Net) -> Ipv4Net {
    let address = Ipv4Addr::from(u32::from(net.network()) + 1);
    Ipv4Net::new(address, net.prefix_len()).unwrap_or(net)
}

fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(other) || other.contains(one)
}

/// What the container reaches, each with a word for it. Default routes reach everything, and do not count; neither
/// do the halves of 0.0.0.0/0 that VPNs install in their stead.
fn taken(facts: &Facts) -> Vec<(Ipv4Net, String)> {
    let ours = |link: &str| !facts.host_network && is_engines(link);
    let mut taken = Vec::new();
    for address in facts.net.addresses.iter().filter(|address| !ours(&address.link)) {
        if let IpNet::V4(net) = address.address {
            taken.push((net.trunc(), format!("the subnet of {}", address.link)));
        }
    }
    for route in facts.net.routes.iter().filter(|route| !ours(&route.link)) {
        match route.to {
            IpNet::V4(to) if to.prefix_len() > 1 => taken.push((to, format!("a route over {}", route.link))),
            _ => {}
        }
    }
    for resolver in &facts.resolv_conf.servers {
        if let IpAddr::V4(address) = resolver {
            taken.push(((*address).into(), "a name server".to_owned()));
        }
    }
    taken
}

/// Bridges that an engine made in this very namespace before: docker0, and `br-` with the first digits of a network's id.
fn is_engines(link: &str) -> bool {
    link == DOCKER_BRIDGE
        || link
            .strip_prefix("br-")
            .is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Texts;
    use crate::netlink::net::{Address, Route};

    fn facts(addresses: &[(&str, &str)], routes: &[&str], resolvers: &[&str]) -> Facts {
        let mut facts = Facts::default();
        facts.net.addresses = addresses
            .iter()
            .map(|(link, address)| Address {
                link: (*link).to_owned(),
                address: address.parse().unwrap(),
                peer: None,
                broadcast: None,
                label: None,
                scope: 0,
                flags: 0,
                metric: None,
            })
            .collect();
        facts.net.routes = routes
            .iter()
            .map(|to| serde_json::json!({"link": "eth0", "to": to, "table": 254, "protocol": 3, "scope": 0}))
            .map(|route| serde_json::from_value::<Route>(route).unwrap())
            .collect();
        facts.resolv_conf.servers = resolvers.iter().map(|text| text.parse().unwrap()).collect();
        facts
    }

    fn found(facts: &Facts, pool: Option<&str>) -> Result<(String, String), Fault> {
        let texts = Texts { pool: pool.map(str::to_owned), ..Texts::default() };
        let networks = networks(facts, &Options::parse(&texts).unwrap())?;
        let pools: Vec<_> = networks.pools.iter().map(|(pool, size)| format!("{pool}-{size}")).collect();
        Ok((networks.bridge.to_string(), pools.join(" ")))
    }

    #[test]
    fn free_networks() {
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str], &'a str, &'a str);
        let table: [Case<'_>; 6] = [
            (&[], &["0.0.0.0/0"], &[], "172.17.0.1/16", "172.18.0.0/16-24 172.19.0.0/16-24 172.20.0.0/16-24"),
            (
                &[("eth0", "172.17.0.2/16")],
                &["0.0.0.0/0"],
                &[],
                "172.18.0.1/16",
                "172.19.0.0/16-24 172.20.0.0/16-24 172.21.0.0/16-24",
            ),
            (
                &[("eth0", "10.1.0.2/24")],
                &["172.18.7.0/24"],
                &["172.17.9.9"],
                "172.19.0.1/16",
                "172.20.0.0/16-24 172.21.0.0/16-24 172.22.0.0/16-24",
            ),
            (
                &[],
                &["172.16.0.0/12"],
                &[],
                "10.200.0.1/16",
                "10.201.0.0/16-24 10.202.0.0/16-24 10.203.0.0/16-24",
            ),
            (
                &[],
                &["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/18"],
                &[],
                "192.168.64.1/20",
                "192.168.80.0/20-24 192.168.96.0/20-24 192.168.112.0/20-24",
            ),
            // What a former engine left in this namespace is no reason to move on.
            (
                &[("docker0", "172.17.0.1/16"), ("br-0123456789ab", "172.18.0.1/24")],
                &[],
                &[],
                "172.17.0.1/16",
                "172.18.0.0/16-24 172.19.0.0/16-24 172.20.0.0/16-24",
            ),
        ];
        for (addresses, routes, resolvers, bridge, pools) in table {
            let (got_bridge, got_pools) = found(&facts(addresses, routes, resolvers), None).unwrap();
            assert_eq!((got_bridge.as_str(), got_pools.as_str()), (bridge, pools));
        }
        let mut shared = facts(&[("docker0", "172.17.0.1/16")], &[], &[]);
        shared.host_network = true;
        assert_eq!(found(&shared, None).unwrap().0, "172.18.0.1/16");
    }

    #[test]
    fn an_address_of_the_bridge_that_is_asked_for() {
        let bip = |bip: &str| {
            let texts = Texts { bip: Some(bip.to_owned()), ..Texts::default() };
            networks(&facts(&[("eth0", "10.1.0.2/24")], &[], &[]), &Options::parse(&texts)?)
        };
        for text in ["10.9.0.1/24", "172.18.0.1/16"] {
            let found = bip(text).unwrap();
            let bridge: Ipv4Net = text.parse().unwrap();
            assert_eq!(found.bridge, bridge);
            assert!(found.pools.iter().all(|(pool, _)| !overlap(pool, &bridge)), "{found:?}");
        }
        assert_eq!(bip("10.1.0.1/16").unwrap_err().code, fault::POOL_OVERLAPS);
        for text in ["10.9.0.0/24", "10.9.0.255/24", "10.9.0.1", "10.9.0.1/32", "fd00::1/64"] {
            assert_eq!(bip(text).unwrap_err().code, fault::BIP_INVALID, "{text}");
        }
    }

    #[test]
    fn pools_that_are_asked_for() {
        let facts = facts(
            &[("eth0", "10.1.0.2/24")],
            &["172.16.0.0/12", "10.0.0.0/9", "192.168.0.0/16", "10.128.0.0/9"],
            &["198.51.100.7"],
        );
        assert_eq!(found(&facts, None).unwrap_err().code, fault::POOL_EXHAUSTED);
        for pool in ["10.1.0.0/24", "10.0.0.0/8", "198.51.100.0/24", "192.168.7.0/24"] {
            assert_eq!(found(&facts, Some(pool)).unwrap_err().code, fault::POOL_OVERLAPS, "{pool}");
        }
        assert_eq!(
            found(&facts, Some("100.64.0.0/16")).unwrap(),
            ("100.64.0.1/17".to_owned(), "100.64.128.0/17-24".to_owned())
        );
        assert_eq!(
            found(&facts, Some("100.64.0.0/24")).unwrap(),
            ("100.64.0.1/25".to_owned(), "100.64.0.128/25-28".to_owned())
        );
    }
}
