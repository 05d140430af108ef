//! Wherever a run is cut off, the next one finishes it, and a release restores what was there: for every captured machine that
//! can be bridged, on a model of the kernel.

#![allow(clippy::unwrap_used)]

use dind_net::facts::Facts;
use dind_net::facts::original::Bridging;
use dind_net::netlink::change::Change;
use dind_net::netlink::net::{Link, Net};
use dind_net::options::Options;
use dind_net::plan;
use dind_net::plan::transition::{to_bridged, to_original};
use dind_net::values::Offset;
use dind_system::Root;
use std::collections::BTreeSet;
use std::fs;

/// What the kernel does for a change, as far as it matters here.
fn make(net: &mut Net, change: &Change) {
    let link = |net: &mut Net, name: &str, set: &dyn Fn(&mut Link)| {
        set(net.links.iter_mut().find(|link| link.name == name).unwrap());
    };
    match change {
        Change::CreateBridge { name, mac, mtu } => net.links.push(Link {
            index: 99,
            name: name.clone(),
            kind: Some("bridge".to_owned()),
            mac: Some(mac.clone()),
            mtu: *mtu,
            ..Link::default()
        }),
        Change::SetMtu { link: name, mtu } => link(net, name, &|link| link.mtu = *mtu),
        Change::Up { link: name } => link(net, name, &|link| link.up = true),
        Change::Join { port, bridge } => link(net, port, &|link| link.master = Some(bridge.clone())),
        Change::Leave { port, .. } => link(net, port, &|link| link.master = None),
        Change::AddAddress(address) => {
            assert!(!net.addresses.contains(address), "{change} exists");
            net.addresses.push(address.clone());
        }
        Change::RemoveAddress(address) => {
            assert!(net.addresses.contains(address), "{change} does not exist");
            net.addresses.retain(|other| other != address);
            // With a link's last IPv4 address its neighbours go.
            let ipv4 = |net: &Net| net.addresses_of(&address.link).any(|one| one.address.addr().is_ipv4());
            if !ipv4(net) {
                net.neighbours.retain(|neighbour| neighbour.link != address.link);
            }
        }
        Change::AddRoute(route) => {
            let conflict = net.routes.iter().any(|other| other.conflicts_with(route));
            assert!(!conflict || route.to.addr().is_ipv6(), "{change} exists");
            net.routes.push(route.clone());
        }
        Change::ReplaceRoute(route) => {
            let position = net.routes.iter().position(|other| other.conflicts_with(route)).unwrap();
            net.routes[position] = route.clone();
        }
        Change::RemoveRoute(route) => {
            assert!(net.routes.contains(route), "{change} does not exist");
            net.routes.retain(|other| other != route);
        }
        Change::AddNeighbour(neighbour) => net.neighbours.push(neighbour.clone()),
        Change::Announce { .. } => {}
        Change::RemoveBridge { name } => {
            net.links.retain(|link| link.name != *name);
            net.addresses.retain(|address| address.link != *name);
            net.routes.retain(|route| route.link != *name);
            net.neighbours.retain(|neighbour| neighbour.link != *name);
        }
    }
}

/// Everything on a link, in no order: addresses, routes and permanent neighbours.
fn on(net: &Net, link: &str) -> BTreeSet<String> {
    let addresses = net.addresses_of(link).map(|address| format!("{address:?}"));
    let routes = net.routes_of(link).map(|route| format!("{route:?}"));
    let neighbours = net.neighbours.iter().filter(|neighbour| neighbour.link == link);
    addresses.chain(routes).chain(neighbours.map(|neighbour| format!("{neighbour:?}"))).collect()
}

fn check(bridging: &Bridging, start: &Net, before: &Net) {
    let changes = to_bridged(bridging, start, before);
    assert!(!changes.is_empty());
    for cut in 0..=changes.len() {
        let mut net = start.clone();
        changes[..cut].iter().for_each(|change| make(&mut net, change));

        let mut finished = net.clone();
        to_bridged(bridging, &net, before).iter().for_each(|change| make(&mut finished, change));
        assert_eq!(to_bridged(bridging, &finished, before), [], "cut at {cut}");
        assert_eq!(on(&finished, &bridging.uplink), BTreeSet::new(), "cut at {cut}");
        let expected = on(before, &bridging.uplink).len();
        assert_eq!(on(&finished, &bridging.bridge).len(), expected, "cut at {cut}");

        to_original(bridging, &net, before).iter().for_each(|change| make(&mut net, change));
        assert_eq!(to_original(bridging, &net, before), [], "cut at {cut}");
        assert_eq!(on(&net, &bridging.uplink), on(before, &bridging.uplink), "cut at {cut}");
        assert_eq!(
            (net.link(&bridging.bridge), net.link(&bridging.uplink).unwrap().master.as_ref()),
            (None, None)
        );
    }
}

#[test]
fn a_run_that_is_cut_off_is_finished_or_undone() {
    let mut bridged = 0;
    for case in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases")).unwrap() {
        let options = Options {
            offset: Some(Offset::By([0, 0, 1, 0].into())),
            uplink: None,
            state: "/run/dind".into(),
            ..Options::parse(&dind_net::cli::Texts::default()).unwrap()
        };
        let root = Root::at(case.unwrap().path().join("root"));
        let Ok(facts) = Facts::observe(&root, &options) else { continue };
        let Some(plan) = plan::decide(&facts, &options).ok().and_then(|plan| plan.bridged) else { continue };
        check(&plan.bridging, &facts.net, &plan.before);
        bridged += 1;
    }
    assert!(bridged >= 10, "only {bridged} machines can be bridged");
}
