//! From one state of the network to another: the changes, in an order in which each one can be made.
//!
//! There is no list of inverses. Apply goes from what is to the bridged state, release and a failed apply go from what
//! is to the state that the journal holds, all by the same function. So it does not matter where a run was cut off.

use crate::net::{Address, Neighbour, Net, PROTOCOL_KERNEL, Route, SCOPE_LINK};
use dind_contract::{State, Steps};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One change of the network namespace, one netlink request or two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A bridge that is down, without spanning tree and forward delay.
    CreateBridge {
        /// Its name.
        name: String,
        /// Its hardware address, set for good: a bridge otherwise takes its ports' lowest.
        mac: String,
        /// Its MTU in bytes, set for good likewise.
        mtu: u32,
    },
    /// Another MTU.
    SetMtu {
        /// The link.
        link: String,
        /// Bytes.
        mtu: u32,
    },
    /// A link becomes a port of the bridge.
    Join {
        /// The link.
        port: String,
        /// The bridge.
        bridge: String,
    },
    /// A link leaves the bridge.
    Leave {
        /// The link.
        port: String,
        /// The bridge.
        bridge: String,
    },
    /// An address goes.
    RemoveAddress(Address),
    /// An address comes.
    AddAddress(Address),
    /// A link goes up.
    Up {
        /// The link.
        link: String,
    },
    /// A route goes.
    RemoveRoute(Route),
    /// A route comes.
    AddRoute(Route),
    /// A route takes the place of the one with the same destination and metric, with no moment between.
    ReplaceRoute(Route),
    /// All addresses of the link are announced, IPv4 by ARP, IPv6 by unsolicited neighbour advertisements; its neighbour
    /// table is emptied.
    Announce {
        /// The link.
        link: String,
        /// Its hardware address.
        mac: String,
    },
    /// A permanent neighbour comes.
    AddNeighbour(Neighbour),
    /// The bridge goes, with all that is on it.
    RemoveBridge {
        /// Its name.
        name: String,
    },
}

impl Change {
    /// The step's name in documents.
    #[must_use]
    pub fn op(&self) -> &'static str {
        match self {
            Self::CreateBridge { .. } => "create-bridge",
            Self::SetMtu { .. } => "set-mtu",
            Self::Join { .. } => "join-bridge",
            Self::Leave { .. } => "leave-bridge",
            Self::RemoveAddress(_) => "remove-address",
            Self::AddAddress(_) => "add-address",
            Self::Up { .. } => "link-up",
            Self::RemoveRoute(_) => "remove-route",
            Self::AddRoute(_) => "add-route",
            Self::ReplaceRoute(_) => "replace-route",
            Self::Announce { .. } => "announce-addresses",
            Self::AddNeighbour(_) => "add-neighbour",
            Self::RemoveBridge { .. } => "remove-bridge",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBridge { name, mac, mtu } => write!(f, "{name} mac {mac} mtu {mtu}"),
            Self::SetMtu { link, mtu } => write!(f, "{link} {mtu}"),
            Self::Join { port, bridge } | Self::Leave { port, bridge } => write!(f, "{port} {bridge}"),
            Self::RemoveAddress(address) | Self::AddAddress(address) => {
                write!(f, "{} dev {}", address.address, address.link)
            }
            Self::Up { link } | Self::Announce { link, .. } => f.write_str(link),
            Self::RemoveRoute(route) | Self::AddRoute(route) | Self::ReplaceRoute(route) => {
                write!(f, "{}", route.to)?;
                if let Some(gateway) = route.gateway {
                    write!(f, " via {gateway}")?;
                }
                write!(f, " dev {}", route.link)
            }
            Self::AddNeighbour(neighbour) => {
                write!(f, "{} lladdr {} dev {}", neighbour.address, neighbour.mac, neighbour.link)
            }
            Self::RemoveBridge { name } => f.write_str(name),
        }
    }
}

/// The bridge, and whose place it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridging {
    /// The bridge's name.
    pub bridge: String,
    /// The link that joins it.
    pub uplink: String,
    /// The uplink's hardware address, and the bridge's.
    pub mac: String,
    /// The bridge's MTU in bytes.
    pub mtu: u32,
}

impl Bridging {
    /// What is left to do until the bridge has all that the uplink had in `before`.
    ///
    /// At no moment is the node without its address: the bridge is up before the uplink joins, and as long as the
    /// uplink still has addresses and routes, packets that come over the bridge are taken, and answers leave over the
    /// uplink itself. (With `rp_filter` 1 they are not taken for those moments; 0 and 2 do.)
    #[must_use]
    pub fn forth(&self, now: &Net, before: &Net) -> Vec<Change> {
        let mut changes = Vec::new();
        let uplink = now.link(&self.uplink);
        match now.link(&self.bridge) {
            None => changes.push(Change::CreateBridge {
                name: self.bridge.clone(),
                mac: self.mac.clone(),
                mtu: self.mtu,
            }),
            Some(bridge) if bridge.mtu != self.mtu => {
                changes.push(Change::SetMtu { link: self.bridge.clone(), mtu: self.mtu });
            }
            Some(_) => {}
        }
        if !now.link(&self.bridge).is_some_and(|bridge| bridge.up) {
            changes.push(Change::Up { link: self.bridge.clone() });
        }
        if uplink.is_some_and(|uplink| uplink.master.as_deref() != Some(&self.bridge)) {
            changes.push(Change::Join { port: self.uplink.clone(), bridge: self.bridge.clone() });
        }
        let addresses: Vec<_> = before.addresses_of(&self.uplink).cloned().collect();
        let moved: Vec<_> = addresses.iter().map(|address| self.moved(address)).collect();
        let missing = missing_addresses(now, &moved);
        let mut neighbours = self.missing_neighbours(now, before, &self.bridge);
        if !missing.is_empty() {
            changes.extend(missing);
            changes.push(Change::Announce { link: self.bridge.clone(), mac: self.mac.clone() });
            // What the announcement empties is filled again.
            neighbours = self.missing_neighbours(&Net::default(), before, &self.bridge);
        }
        changes.extend(neighbours);
        let mut routes: Vec<_> = before.routes_of(&self.uplink).collect();
        routes.sort_by_key(|route| dependency(route));
        for route in routes {
            changes.extend(self.carry_over(now, route));
        }
        // What came onto the uplink after the journal was written is somebody else's, and stays.
        changes.extend(gone(now, |_| false, |address| addresses.contains(address)));
        changes
    }

    /// A route of the uplink becomes the bridge's.
    fn carry_over(&self, now: &Net, route: &Route) -> Vec<Change> {
        let moved = Route { link: self.bridge.clone(), ..route.clone() };
        match (now.routes.contains(route), now.routes.contains(&moved)) {
            (false, true) => Vec::new(),
            (true, true) => vec![Change::RemoveRoute(route.clone())],
            (false, false) => vec![Change::AddRoute(moved)],
            // The kernel replaces the first that fits. IPv6 may have one of another link that fits too.
            (true, false)
                if route.to.addr().is_ipv4()
                    && now.routes.iter().filter(|other| other.rivals(route)).count() == 1 =>
            {
                vec![Change::ReplaceRoute(moved)]
            }
            (true, false) => vec![Change::RemoveRoute(route.clone()), Change::AddRoute(moved)],
        }
    }

    /// What is left to do until the uplink has all back and the bridge is gone.
    #[must_use]
    pub fn back(&self, now: &Net, before: &Net) -> Vec<Change> {
        let mut changes = Vec::new();
        if now.link(&self.uplink).is_some_and(|uplink| uplink.master.as_deref() == Some(&self.bridge)) {
            changes.push(Change::Leave { port: self.uplink.clone(), bridge: self.bridge.clone() });
        }
        if now.link(&self.bridge).is_some() {
            // dockerd's and everybody's: the bridge goes, and its routes would be in the way of the uplink's.
            let on_bridge = |link: &str| link == self.bridge;
            changes.extend(gone(
                now,
                |route| on_bridge(&route.link) && route.protocol != PROTOCOL_KERNEL,
                |address| on_bridge(&address.link) && address.scope != SCOPE_LINK,
            ));
        }
        if now.link(&self.uplink).is_some() {
            let addresses: Vec<_> = before.addresses_of(&self.uplink).cloned().collect();
            changes.extend(missing_addresses(now, &addresses));
            if before.link(&self.uplink).is_some_and(|link| link.up)
                && now.link(&self.uplink).is_some_and(|link| !link.up)
            {
                changes.push(Change::Up { link: self.uplink.clone() });
            }
            // With a link's last IPv4 address its whole neighbour table goes (fib_disable_ip of fib_frontend.c).
            changes.extend(self.missing_neighbours(now, before, &self.uplink));
            let routes: Vec<_> = before.routes_of(&self.uplink).cloned().collect();
            changes.extend(missing_routes(now, &routes));
        }
        if now.link(&self.bridge).is_some() {
            changes.push(Change::RemoveBridge { name: self.bridge.clone() });
        }
        changes
    }

    /// The uplink's neighbours of before that `link` lacks.
    fn missing_neighbours(&self, now: &Net, before: &Net, link: &str) -> Vec<Change> {
        let before = before.neighbours.iter().filter(|neighbour| neighbour.link == self.uplink);
        let wanted = before.map(|neighbour| Neighbour { link: link.to_owned(), ..neighbour.clone() });
        wanted.filter(|neighbour| !now.neighbours.contains(neighbour)).map(Change::AddNeighbour).collect()
    }

    fn moved(&self, address: &Address) -> Address {
        // An IPv4 label has to begin with its link's name (devinet.c, rtm_to_ifaddr does not check, ip(8) does).
        let label = address.label.as_ref().map(|label| label.replacen(&self.uplink, &self.bridge, 1));
        let label = label.filter(|label| label.len() < nix::libc::IFNAMSIZ);
        Address { link: self.bridge.clone(), label, ..address.clone() }
    }
}

/// Routes go before the addresses that they need, the last one first; so do addresses: a primary takes its secondaries along.
fn gone(
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

/// Notes changes that are not made, only listed.
pub fn list(changes: &[Change], steps: &mut Steps) {
    for change in changes {
        steps.push(change.op(), change, State::Planned);
    }
}
