//! Tables of networks that are free, and of pools that are asked for.

use super::*;
use crate::cli::Texts;
use crate::facts::recorded::Recorded;
use crate::netlink::net::{Address, Route};
use ipnet::IpNet;

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
    let networks = networks(facts, &Options::parse(&texts).unwrap(), &mut Vec::new())?;
    Ok((networks.bridge.to_string(), listed(&networks.pools)))
}

fn listed(pools: &[AddressPool]) -> String {
    let pools: Vec<_> = pools.iter().map(|pool| format!("{}-{}", pool.base, pool.size)).collect();
    pools.join(" ")
}

fn recorded(network: &str, subnet: &str) -> Recorded {
    Recorded { network: network.to_owned(), is_bridge: true, subnet: subnet.parse().unwrap() }
}

/// netavark gives each network of podman's the next /24 of these, in this order (containers/common, pkg/config, `DefaultSubnetPools`).
/// Ours begin behind the 28000th of them.
#[test]
fn what_netavark_gives_away_next_is_not_taken() {
    let pools = ["10.89.0.0/16", "10.90.0.0/15", "10.92.0.0/14", "10.96.0.0/11", "10.128.0.0/9"];
    let pools = pools.map(|pool| pool.parse::<Ipv4Net>().unwrap());
    let next = pools.iter().flat_map(|pool| pool.subnets(24).unwrap()).take(16384);
    let podman: Vec<_> = ["10.88.0.0/16".parse().unwrap()].into_iter().chain(next).collect();
    for outer in ["10.88.0.7/16", "10.89.0.7/24", "10.89.31.7/24"] {
        let facts = facts(&[("eth0", outer)], &["0.0.0.0/0"], &[]);
        for candidate in candidates(&facts) {
            let taken = podman.iter().find(|net| net.contains(&candidate) || candidate.contains(*net));
            assert_eq!(taken, None, "{outer}: {candidate}");
        }
    }
}

#[test]
fn free_networks() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str], &'a str, &'a str);
    let table: [Case<'_>; 8] = [
        (&[], &["0.0.0.0/0"], &[], "10.200.0.1/16", "10.201.0.0/16-24 10.202.0.0/16-24 10.203.0.0/16-24"),
        // What a stock engine gives away next is never taken.
        (
            &[("eth0", "172.17.0.2/16")],
            &["0.0.0.0/0"],
            &[],
            "10.200.0.1/16",
            "10.201.0.0/16-24 10.202.0.0/16-24 10.203.0.0/16-24",
        ),
        (
            &[("eth0", "10.1.0.2/24")],
            &["10.201.7.0/24"],
            &["10.200.9.9"],
            "10.202.0.1/16",
            "10.203.0.0/16-24 10.204.0.0/16-24 10.205.0.0/16-24",
        ),
        // Nor is what an engine gives away that has its networks from us: on its bridge, and on its last network.
        (
            &[("eth0", "10.200.0.2/16")],
            &["0.0.0.0/0"],
            &[],
            "10.204.0.1/16",
            "10.205.0.0/16-24 10.206.0.0/16-24 10.207.0.0/16-24",
        ),
        (
            &[("eth0", "10.230.7.2/24")],
            &["0.0.0.0/0"],
            &[],
            "10.202.0.1/16",
            "10.203.0.0/16-24 10.204.0.0/16-24 10.205.0.0/16-24",
        ),
        (
            &[],
            &["10.0.0.0/8", "192.168.0.0/18"],
            &[],
            "192.168.64.1/20",
            "192.168.80.0/20-24 192.168.96.0/20-24 192.168.112.0/20-24",
        ),
        (
            &[("eth0", "172.18.0.2/16")],
            &["10.0.0.0/8", "192.168.0.0/16"],
            &["172.17.9.9"],
            "172.19.0.1/16",
            "172.20.0.0/16-24 172.21.0.0/16-24 172.22.0.0/16-24",
        ),
        // What a former engine left in this namespace is no reason to move on.
        (
            &[("docker0", "10.200.0.1/16"), ("br-0123456789ab", "10.201.0.1/24")],
            &[],
            &[],
            "10.200.0.1/16",
            "10.201.0.0/16-24 10.202.0.0/16-24 10.203.0.0/16-24",
        ),
    ];
    for (addresses, routes, resolvers, bridge, pools) in table {
        let (got_bridge, got_pools) = found(&facts(addresses, routes, resolvers), None).unwrap();
        assert_eq!((got_bridge.as_str(), got_pools.as_str()), (bridge, pools));
    }
    let mut shared = facts(&[("docker0", "10.200.0.1/16")], &[], &[]);
    shared.host_network = true;
    assert_eq!(found(&shared, None).unwrap().0, "10.204.0.1/16");
}

#[test]
fn networks_of_the_record_are_kept_away_from_the_bridge_and_named_where_they_collide() {
    let mut facts = facts(&[("eth0", "10.77.0.2/16")], &["0.0.0.0/0"], &[]);
    facts.recorded = vec![recorded("kept", "10.200.0.0/24"), recorded("pooled", "10.201.0.0/24")];
    let expected =
        ("10.202.0.1/16".to_owned(), "10.200.0.0/16-24 10.201.0.0/16-24 10.203.0.0/16-24".to_owned());
    assert_eq!(found(&facts, None).unwrap(), expected);
    let options = |texts| Options::parse(&texts).unwrap();
    assert_eq!(collisions(&facts, &options(Texts::default())), []);
    let fault = found(&facts, Some("10.200.0.0/16")).unwrap_err();
    assert_eq!(fault.code, fault::POOL_OVERLAPS);
    assert!(fault.to_string().contains("`kept`"), "{fault}");
    facts.recorded.push(recorded("lost", "10.77.7.0/24"));
    let [warning] = &collisions(&facts, &options(Texts::default()))[..] else { panic!() };
    assert_eq!(warning.code, fault::NETWORK_COLLIDES);
    assert!(
        warning.message.contains("`lost` of the engine, 10.77.7.0/24, overlaps 10.77.0.0/16"),
        "{warning:?}"
    );
    // The bridge of a network that its user has given another name.
    facts.recorded = vec![recorded("named", "10.77.0.0/16")];
    let link = serde_json::json!({"index": 2, "name": "eth0", "kind": "bridge", "mtu": 1500});
    facts.net.links = vec![serde_json::from_value(link).unwrap()];
    assert_eq!(collisions(&facts, &options(Texts::default())), []);
    // A macvlan network is meant to be there; that of a bridged node's own bridge would be the same.
    facts.recorded = vec![Recorded { is_bridge: false, ..recorded("outside", "10.77.0.0/16") }];
    assert_eq!(collisions(&facts, &options(Texts::default())), []);
    facts.net.links.clear();
    let bridged = Texts { offset: Some("auto".to_owned()), ..Texts::default() };
    assert_eq!(collisions(&facts, &options(bridged)).len(), 1);
}

#[test]
fn pools_without_a_bridge() {
    let facts = facts(&[("eth0", "10.200.0.2/16")], &["0.0.0.0/0"], &[]);
    let asked = |pool: Option<&str>| {
        let texts = Texts { pool: pool.map(str::to_owned), ..Texts::default() };
        pools(&facts, &Options::parse(&texts).unwrap(), &mut Vec::new()).map(|pools| listed(&pools))
    };
    assert_eq!(asked(None).unwrap(), "10.204.0.0/16-24 10.205.0.0/16-24 10.206.0.0/16-24");
    assert_eq!(asked(Some("100.64.0.0/16")).unwrap(), "100.64.0.0/16-24");
    assert_eq!(asked(Some("10.200.7.0/24")).unwrap_err().code, fault::POOL_OVERLAPS);
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

#[test]
fn an_address_of_the_bridge_that_is_asked_for() {
    let facts = facts(&[("eth0", "10.1.0.2/24")], &[], &[]);
    let bip = |bip: &str| {
        let texts = Texts { bip: Some(bip.to_owned()), ..Texts::default() };
        networks(&facts, &Options::parse(&texts)?, &mut Vec::new())
    };
    for text in ["10.9.0.1/24", "10.201.0.1/16"] {
        let found = bip(text).unwrap();
        let bridge: Ipv4Net = text.parse().unwrap();
        assert_eq!(found.bridge, bridge);
        assert!(
            !found.pools.iter().any(|pool| pool.base.contains(&IpNet::from(bridge.trunc()))),
            "{found:?}"
        );
    }
    assert_eq!(bip("10.1.0.1/16").unwrap_err().code, fault::POOL_OVERLAPS);
    for text in ["10.9.0.0/24", "10.9.0.255/24", "10.9.0.1", "10.9.0.1/32", "fd00::1/64"] {
        assert_eq!(bip(text).unwrap_err().code, fault::BIP_INVALID, "{text}");
    }
}

/// docker/for-linux#599: a VPN routes all private networks.
#[test]
fn what_is_behind_a_gateway_is_left_alone_unless_the_user_insists() {
    let mut facts =
        facts(&[("eth0", "10.1.0.2/24")], &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], &["10.9.0.9"]);
    facts.net.routes.iter_mut().for_each(|route| route.gateway = Some("10.1.0.1".parse().unwrap()));
    assert_eq!(found(&facts, None).unwrap_err().code, fault::POOL_EXHAUSTED);
    let asked = |pool: Option<&str>, bip: Option<&str>, address_pools: Option<&str>| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let texts = Texts {
            pool: text(pool),
            bip: text(bip),
            address_pools: text(address_pools),
            ..Texts::default()
        };
        let mut warnings = Vec::new();
        let found = networks(&facts, &Options::parse(&texts).unwrap(), &mut warnings)?;
        assert!(warnings.iter().all(|warning| warning.code == fault::POOL_ROUTED), "{warnings:?}");
        let messages: Vec<_> = warnings.into_iter().map(|warning| warning.message).collect();
        Ok::<_, Fault>((found.bridge.to_string(), listed(&found.pools), messages.join("; ")))
    };
    let (bridge, pools, warning) = asked(Some("10.201.0.0/16"), None, None).unwrap();
    assert_eq!((bridge.as_str(), pools.as_str()), ("10.201.0.1/17", "10.201.128.0/17-24"));
    assert!(warning.starts_with("10.201.0.0/16 overlaps 10.0.0.0/8, a route over eth0: "), "{warning}");
    let (bridge, pools, warning) = asked(None, None, Some("base=172.20.0.0/14,size=20")).unwrap();
    assert_eq!((bridge.as_str(), pools.as_str()), ("172.20.0.1/20", "172.20.0.0/14-20"));
    assert!(warning.starts_with("172.20.0.0/14 overlaps 172.16.0.0/12"), "{warning}");
    let (bridge, pools, warning) = asked(Some("100.64.0.0/16"), Some("192.168.9.1/24"), None).unwrap();
    assert_eq!((bridge.as_str(), pools.as_str()), ("192.168.9.1/24", "100.64.128.0/17-24"));
    assert!(warning.starts_with("192.168.9.1/24 overlaps 192.168.0.0/16"), "{warning}");
    // The node's own subnet and its name server are needed whatever the user says.
    for pool in ["10.1.0.0/16", "10.9.0.0/16"] {
        assert_eq!(asked(Some(pool), None, None).unwrap_err().code, fault::POOL_OVERLAPS, "{pool}");
    }
    // As people write it: the bridge has its address from the only pool.
    let (bridge, pools, _) = asked(None, Some("100.64.0.1/24"), Some("base=100.64.0.0/24,size=24")).unwrap();
    assert_eq!((bridge.as_str(), pools.as_str()), ("100.64.0.1/24", "100.64.0.0/24-24"));
    assert_eq!(asked(None, None, Some("base=10.1.0.0/25,size=28")).unwrap_err().code, fault::POOL_OVERLAPS);
}
