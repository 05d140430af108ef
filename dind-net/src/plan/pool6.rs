//! Default mode: a unique local network of IPv6 (RFC 4193) that overlaps nothing the container can reach.
//!
//! Of its prefix, `fd` and the 40 bits of the global id are the first 48. RFC 4193 has the global id drawn at random; here it is
//! computed from what identifies the container, so that it is the same when the container starts again and that two containers
//! have two. Among a million containers two share one with a probability of a third, and even then nobody notices: packets leave
//! with the node's own address.

use crate::facts::Facts;
use crate::facts::ipv6::Identity;
use crate::plan::reached::is_ours;
use ipnet::{IpNet, Ipv6Net};
use std::net::{IpAddr, Ipv6Addr};

/// The networks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Networks {
    /// That of the default bridge, a /64.
    pub bridge: Ipv6Net,
    /// What user-defined networks are cut from.
    pub pool: Ipv6Net,
}

/// Prefix length of the pool, and of the 256 networks that are cut from it. Engines before 27 compute with 64 bits of host
/// part at most, and list all networks of a pool when they start (moby, `splitNetwork` of libnetwork/ipamutils).
const POOL: u8 = 104;
/// See above.
pub const NETWORK_SIZE: u8 = 112;
/// Prefix length of a global id.
const GLOBAL_ID: u8 = 48;
/// How many global ids are tried. One is taken with a probability of 2^-40 for each network that is.
const ATTEMPTS: u8 = 16;

/// The first global id of this container that is free. `own` stands in where the runtime mounts no /etc/hosts.
#[must_use]
pub fn choose(facts: &Facts, own: Ipv6Addr) -> Option<Networks> {
    let taken = taken(facts);
    let overlap = |net: Ipv6Net, other: &Ipv6Net| other.contains(&net) || net.contains(other);
    (0..ATTEMPTS).map(|attempt| global_id(&facts.ipv6.identity, own, attempt)).find_map(|bits| {
        let prefix = (0xfd_u128 << 40 | u128::from(bits)) << 80;
        let net = |subnet: u128, length| Ipv6Net::new((prefix | subnet << 64).into(), length).ok();
        let (whole, pool) = (net(0, GLOBAL_ID)?, net(1, POOL)?);
        // What the engine has cut from this very pool before is no reason to leave it.
        let recorded = facts.ipv6.recorded.iter().filter(|net| !pool.contains(*net));
        let free = !taken.iter().chain(recorded).any(|other| overlap(whole, other));
        free.then_some(Networks { bridge: net(0, 64)?, pool })
    })
}

/// 40 bits of FNV-1a (draft-eastlake-fnv, folded by xor).
fn global_id(identity: &Identity, own: Ipv6Addr, attempt: u8) -> u64 {
    let id = identity.file.clone().unwrap_or_else(|| own.to_string());
    let words = [identity.host.as_bytes(), &[0], id.as_bytes(), &[0, attempt]].concat();
    let hash = words.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash >> 40 ^ hash) & 0xff_ffff_ffff
}

/// What the container reaches, except by default routes and the eighths of all addresses that stand for one.
fn taken(facts: &Facts) -> Vec<Ipv6Net> {
    let addresses = facts.net.addresses.iter().filter(|address| !is_ours(facts, &address.link));
    let routes = facts.net.routes.iter().filter(|route| !is_ours(facts, &route.link));
    let v6 = |net: IpNet| if let IpNet::V6(net) = net { Some(net.trunc()) } else { None };
    let servers = facts.resolv_conf.servers.iter().filter_map(|server| match server {
        IpAddr::V6(server) => Some((*server).into()),
        IpAddr::V4(_) => None,
    });
    let addresses = addresses.filter_map(|address| v6(address.address));
    let routes = routes.filter_map(|route| v6(route.to)).filter(|to| to.prefix_len() > 3);
    addresses.chain(routes).chain(servers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(host: &str, file: Option<&str>) -> Facts {
        let mut facts = Facts::default();
        facts.ipv6.identity = Identity { host: host.to_owned(), file: file.map(str::to_owned) };
        facts
    }

    #[test]
    fn a_container_keeps_its_networks_and_no_other_has_them() {
        let own = "fd77::3".parse().unwrap();
        let of = |host, file| choose(&facts(host, file), own).unwrap();
        let first = of("runner", Some("/docker/containers/4bb3/hosts"));
        assert!(first.bridge.to_string().starts_with("fd") && first.bridge.to_string().ends_with("::/64"));
        assert!(first.pool.to_string().ends_with(":1::/104"), "{}", first.pool);
        assert_eq!(first, of("runner", Some("/docker/containers/4bb3/hosts")));
        for other in [of("runner", Some("/docker/containers/4bb4/hosts")), of("runner", None)] {
            assert_ne!(first, other, "another container of the same name");
        }
        assert_ne!(of("one", None), of("two", None));
        let moved = choose(&facts("one", None), "fd77::4".parse().unwrap());
        assert_ne!(Some(of("one", None)), moved, "without a file the address tells two apart");
    }

    #[test]
    fn a_network_that_is_taken_is_left_alone() {
        let own = "fd77::3".parse().unwrap();
        let mut facts = facts("one", None);
        let first = choose(&facts, own).unwrap();
        let route = |to: String, link: &str| {
            let route = serde_json::json!({"link": link, "to": to, "table": 254, "protocol": 3, "scope": 0});
            serde_json::from_value(route).unwrap()
        };
        facts.net.routes = vec![route(first.pool.to_string(), "eth0")];
        let second = choose(&facts, own).unwrap();
        assert_ne!(first, second);
        // What a former engine left in this namespace is no reason to move on.
        facts.net.routes = vec![route(first.bridge.to_string(), "docker0"), route("::/0".to_owned(), "eth0")];
        assert_eq!(choose(&facts, own), Some(first));
        // Nor is what the engine has cut from its pool; a network of another life is.
        facts.net.routes.clear();
        facts.ipv6.recorded = vec![Ipv6Net::new(first.pool.addr(), NETWORK_SIZE).unwrap()];
        assert_eq!(choose(&facts, own), Some(first));
        facts.ipv6.recorded = vec![first.bridge];
        assert_eq!(choose(&facts, own), Some(second));
        facts.net.routes = vec![route("fc00::/7".to_owned(), "eth0")];
        assert_eq!(choose(&facts, own), None);
    }
}
