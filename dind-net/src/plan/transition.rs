//! From one state of the network to another: the changes, in an order in which each one can be made.
//!
//! There is no list of inverses. Apply goes from what is to the bridged state; release and a failed apply go from what is to
//! the state that was saved before the first change, all by the same comparison. So it does not matter where a run was cut off.

use crate::facts::original::Bridging;
use crate::netlink::change::Change;
use crate::netlink::net::{Address, Neighbour, Net, PROTOCOL_KERNEL, Route, SCOPE_LINK};
use ipnet::IpNet;

/// What is left to do until the bridge has all that the uplink had in `before`.
///
/// At no moment is the node without its address: the bridge is up before the uplink joins, and as long as the
/// uplink still has addresses and routes, packets that come over the bridge are taken, and answers leave over the
/// uplink itself. (With `rp_filter` 1 they are not taken for those moments; 0 and 2 do.)
#[must_use]
pub fn to_bridged(bridging: &Bridging, now: &Net, before: &Net) -> Vec<Change> {
    let mut changes = Vec::new();
    let uplink = now.link(&bridging.uplink);
    match now.link(&bridging.bridge) {
        None => changes.push(Change::CreateBridge {
            name: bridging.bridge.clone(),
            mac: bridging.mac.clone(),
            mtu: bridging.mtu,
        }),
        Some(bridge) if bridge.mtu != bridging.mtu => {
            changes.push(Change::SetMtu { link: bridging.bridge.clone(), mtu: bridging.mtu });
        }
        Some(_) => {}
    }
    if !now.link(&bridging.bridge).is_some_and(|bridge| bridge.up) {
        changes.push(Change::Up { link: bridging.bridge.clone() });
    }
    if uplink.is_some_and(|uplink| uplink.master.as_deref() != Some(&bridging.bridge)) {
        changes.push(Change::Join { port: bridging.uplink.clone(), bridge: bridging.bridge.clone() });
    }
    let addresses: Vec<_> = before.addresses_of(&bridging.uplink).cloned().collect();
    let moved: Vec<_> = addresses.iter().map(|address| moved(bridging, address)).collect();
    let missing = missing_addresses(now, &moved);
    let mut neighbours = missing_neighbours(bridging, now, before, &bridging.bridge);
    if !missing.is_empty() {
        changes.extend(missing);
        changes.push(Change::Announce { link: bridging.bridge.clone(), mac: bridging.mac.clone() });
        // What the announcement empties is filled again.
        neighbours = missing_neighbours(bridging, &Net::default(), before, &bridging.bridge);
    }
    changes.extend(neighbours);
    let mut routes: Vec<_> = before.routes_of(&bridging.uplink).collect();
    routes.sort_by_key(|route| dependency(route));
    for route in routes {
        changes.extend(move_route(bridging, now, route));
    }
    // What came onto the uplink after the journal was written is somebody else's, and stays.
    changes.extend(removals(now, |_| false, |address| addresses.contains(address)));
    changes
}

/// A route of the uplink becomes the bridge's.
fn move_route(bridging: &Bridging, now: &Net, route: &Route) -> Vec<Change> {
    let moved = Route { link: bridging.bridge.clone(), ..route.clone() };
    match (now.routes.contains(route), now.routes.contains(&moved)) {
        (false, true) => Vec::new(),
        (true, true) => vec![Change::RemoveRoute(route.clone())],
        (false, false) => vec![Change::AddRoute(moved)],
        // The kernel replaces the first that fits. IPv6 may have one of another link that fits too.
        (true, false)
            if route.to.addr().is_ipv4()
                && now.routes.iter().filter(|other| other.conflicts_with(route)).count() == 1 =>
        {
            vec![Change::ReplaceRoute(moved)]
        }
        (true, false) => vec![Change::RemoveRoute(route.clone()), Change::AddRoute(moved)],
    }
}

/// What is left to do until the uplink has everything that it had in `before`, and the bridge no longer exists.
#[must_use]
pub fn to_original(bridging: &Bridging, now: &Net, before: &Net) -> Vec<Change> {
    let mut changes = Vec::new();
    if now.link(&bridging.uplink).is_some_and(|uplink| uplink.master.as_deref() == Some(&bridging.bridge)) {
        changes.push(Change::Leave { port: bridging.uplink.clone(), bridge: bridging.bridge.clone() });
    }
    if now.link(&bridging.bridge).is_some() {
        // dockerd's and everybody's: the bridge goes, and its routes would be in the way of the uplink's.
        let on_bridge = |link: &str| link == bridging.bridge;
        changes.extend(removals(
            now,
            |route| on_bridge(&route.link) && route.protocol != PROTOCOL_KERNEL,
            |address| on_bridge(&address.link) && address.scope != SCOPE_LINK,
        ));
    }
    if now.link(&bridging.uplink).is_some() {
        let addresses: Vec<_> = before.addresses_of(&bridging.uplink).cloned().collect();
        changes.extend(missing_addresses(now, &addresses));
        if before.link(&bridging.uplink).is_some_and(|link| link.up)
            && now.link(&bridging.uplink).is_some_and(|link| !link.up)
        {
            changes.push(Change::Up { link: bridging.uplink.clone() });
        }
        // With a link's last IPv4 address its whole neighbour table goes (fib_disable_ip of fib_frontend.c).
        changes.extend(missing_neighbours(bridging, now, before, &bridging.uplink));
        let routes: Vec<_> = before.routes_of(&bridging.uplink).cloned().collect();
        changes.extend(missing_routes(now, &routes));
    }
    if now.link(&bridging.bridge).is_some() {
        changes.push(Change::RemoveBridge { name: bridging.bridge.clone() });
    }
    changes
}

/// The uplink's permanent neighbours of before that are missing on `link`.
fn missing_neighbours(bridging: &Bridging, now: &Net, before: &Net, link: &str) -> Vec<Change> {
    let before = before.neighbours.iter().filter(|neighbour| neighbour.link == bridging.uplink);
    let wanted = before.map(|neighbour| Neighbour { link: link.to_owned(), ..neighbour.clone() });
    wanted.filter(|neighbour| !now.neighbours.contains(neighbour)).map(Change::AddNeighbour).collect()
}

fn moved(bridging: &Bridging, address: &Address) -> Address {
    // An IPv4 label has to begin with its link's name (devinet.c, rtm_to_ifaddr does not check, ip(8) does).
    let label = address.label.as_ref().map(|label| label.replacen(&bridging.uplink, &bridging.bridge, 1));
    let label = label.filter(|label| label.len() < nix::libc::IFNAMSIZ);
    Address { link: bridging.bridge.clone(), label, ..address.clone() }
}

/// Routes go before the addresses that they need, the last one first; so do addresses: a primary takes its secondaries along.
fn removals(
    now: &Net,
    route_goes: impl Fn(&Route) -> bool,
    address_goes: impl Fn(&Address) -> bool,
) -> Vec<Change> {
    let mut routes: Vec<_> = now.routes.iter().filter(|route| route_goes(route)).collect();
    routes.sort_by_key(|route| dependency(route));
    let routes = routes.into_iter().rev().cloned().map(Change::RemoveRoute);
    let addresses = now.addresses.iter().rev().filter(|address| address_goes(address));
    routes.chain(addresses.cloned().map(Change::RemoveAddress)).collect()
}

fn missing_addresses(now: &Net, wanted: &[Address]) -> Vec<Change> {
    let there = |wanted: &Address| {
        now.addresses.iter().any(|address| {
            address.link == wanted.link && address.address == wanted.address && address.peer == wanted.peer
        })
    };
    wanted.iter().filter(|address| !there(address)).cloned().map(Change::AddAddress).collect()
}

fn missing_routes(now: &Net, wanted: &[Route]) -> Vec<Change> {
    let mut routes: Vec<_> = wanted.iter().filter(|route| !now.routes.contains(route)).collect();
    routes.sort_by_key(|route| dependency(route));
    routes.into_iter().cloned().map(Change::AddRoute).collect()
}

/// A gateway has to be reachable by a route that exists: on-link routes first, then the longer prefixes.
fn dependency(route: &Route) -> (bool, u8) {
    let length = match route.to {
        IpNet::V4(to) => to.prefix_len(),
        IpNet::V6(to) => to.prefix_len(),
    };
    (route.gateway.is_some(), u8::MAX - length)
}
