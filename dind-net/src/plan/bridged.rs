//! Bridged mode: inner containers on the outer network. Here are every check of the uplink, its address and its gateway,
//! and every reason not to touch them.

use crate::facts::Facts;
use crate::facts::original::Bridging;
use crate::fault;
use crate::netlink::net::{Address, Link, Net, Route};
use crate::options::Options;
use crate::plan::connection::Connection;
use crate::plan::mtu;
use crate::plan::range::{self, Question, Range};
use crate::values::{AddressPool, Offset};
use dind_contract::{Fault, Warning};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

/// What bridged mode will look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridged {
    /// The bridge and its uplink.
    pub bridging: Bridging,
    /// The uplink and all that was on it.
    pub before: Net,
    /// The node's own address, which the bridge gets.
    pub address: Ipv4Net,
    /// The outer network's gateway.
    pub gateway: Ipv4Addr,
    /// The addresses of inner containers.
    pub range: Range<Ipv4Net>,
}

impl Bridged {
    /// How the inner containers are connected.
    #[must_use]
    pub fn connection(&self, pools: &[AddressPool]) -> Connection {
        let Bridging { bridge, uplink, mac, mtu } = &self.bridging;
        let mut connection = Connection::bridged(bridge, self.address, self.gateway, self.range);
        connection.set_pools(pools);
        connection.set_mtu(*mtu);
        connection.network.uplink = Some(uplink.clone());
        if let Some(bridge) = &mut connection.network.bridge {
            bridge.mac = Some(mac.clone());
        }
        connection
    }
}

/// Decides, or refuses while nothing has changed.
///
/// # Errors
/// See the guards below, and [`range::compute`].
pub fn decide(
    facts: &Facts,
    options: &Options,
    offset: Offset<Ipv4Addr>,
    warnings: &mut Vec<Warning>,
) -> Result<Bridged, Fault> {
    match &facts.original {
        Some(original) => check_same_bridge(&original.bridging, options)?,
        None => check_own_namespace(facts)?,
    }
    let net = facts.before();
    let default = default_route(net, options)?;
    let uplink = check_uplink(facts, options, &default.link, warnings)?;
    let (address, gateway) = own_address(net, &default)?;
    let mtu = mtu::of_uplink(uplink, options)?;
    if facts.original.is_none() {
        check_bridge_is_free(facts, options)?;
    }
    if let Some((route, why)) = net.routes_of(&uplink.name).find_map(|r| Some((r, r.unsupported.as_ref()?))) {
        return Err(fault::ROUTE_UNSUPPORTED
            .cannot("move", route.to, format!("the route has {why}"))
            .hint("remove the route, or use default mode by leaving DOCKER_NETWORK_OFFSET unset"));
    }
    if let Some(rule) = net.rules.iter().find(|rule| rule.link == uplink.name) {
        return Err(fault::RULE_UNSUPPORTED
            .cannot("bridge", &uplink.name, format!("policy rule {} names it", rule.priority))
            .hint(format!(
                "remove it with `ip rule delete priority {}`, or leave DOCKER_NETWORK_OFFSET unset",
                rule.priority
            )));
    }
    let range = range::compute(&Question { address, gateway, offset, size: options.size })?;
    let mac = uplink.mac.clone().ok_or_else(|| unusable(uplink, "it has no hardware address"))?;
    let bridging = Bridging { bridge: options.bridge.clone(), uplink: uplink.name.clone(), mac, mtu };
    Ok(Bridged { before: only_of(net, uplink), bridging, address, gateway, range })
}

fn check_same_bridge(bridging: &Bridging, options: &Options) -> Result<(), Fault> {
    let other_uplink = options.uplink.as_ref().is_some_and(|uplink| *uplink != bridging.uplink);
    if bridging.bridge == options.bridge && !other_uplink {
        return Ok(());
    }
    Err(fault::ALREADY_BRIDGED
        .cannot("bridge", &options.bridge, format!("{} is in {} already", bridging.uplink, bridging.bridge))
        .hint("run `dind-net release` first"))
}

fn check_own_namespace(facts: &Facts) -> Result<(), Fault> {
    if facts.host_network {
        return Err(fault::HOST_NETWORK
            .failed(
                "cannot bridge the uplink",
                "this is the machine's own network namespace, not a container's",
            )
            .hint("run it in a container without --network host; to compute a range anywhere, give --address and --gateway"));
    }
    Ok(())
}

/// The default route that leads to the uplink. Two links with one are two candidates, whatever the metrics say.
fn default_route(net: &Net, options: &Options) -> Result<Route, Fault> {
    let mut routes: Vec<_> = net.routes.iter().filter(|route| route.is_default()).collect();
    routes.sort_by_key(|route| route.metric);
    if let Some(name) = &options.uplink {
        if net.link(name).is_none() {
            return Err(fault::no_link(name));
        }
        routes.retain(|route| route.link == *name);
    }
    let Some(first) = routes.first() else {
        let why = match &options.uplink {
            Some(name) => format!("{name} has no IPv4 default route"),
            None => "no link has an IPv4 default route".to_owned(),
        };
        return Err(fault::UPLINK_MISSING.failed("cannot find the uplink", why).hint(
            "connect the container to a network with an IPv4 gateway, or leave DOCKER_NETWORK_OFFSET unset",
        ));
    };
    if let Some(other) = routes.iter().find(|route| route.link != first.link) {
        return Err(fault::UPLINK_AMBIGUOUS
            .failed(
                "cannot choose the uplink",
                format!("{} and {} both have a default route", first.link, other.link),
            )
            .hint(format!("name one with DIND_NET_UPLINK, such as DIND_NET_UPLINK={}", first.link)));
    }
    Ok((*first).clone())
}

fn unusable(link: &Link, why: &str) -> Fault {
    fault::UPLINK_UNUSABLE
        .cannot("bridge", &link.name, why)
        .hint("connect the container to an ordinary bridge network, or leave DOCKER_NETWORK_OFFSET unset")
}

fn check_uplink<'a>(
    facts: &'a Facts,
    options: &Options,
    name: &str,
    warnings: &mut Vec<Warning>,
) -> Result<&'a Link, Fault> {
    let link = facts
        .before()
        .link(name)
        .ok_or_else(|| fault::UPLINK_MISSING.cannot("find", name, "it no longer exists"))?;
    let kind = link.kind.as_deref().unwrap_or("none");
    if matches!(kind, "bridge" | "ipvlan" | "macvlan") {
        // macvlan and ipvlan deliver nothing to a MAC address that is not their own: nothing reaches inner containers.
        return Err(unusable(link, &format!("its kind is {kind}")));
    }
    if let Some(master) = &link.master {
        return Err(unusable(link, &format!("it is in {master} already")));
    }
    if !link.up {
        return Err(unusable(link, "it is down"));
    }
    if kind != "veth" {
        if options.uplink.is_none() {
            return Err(fault::UPLINK_KIND
                .cannot("bridge", name, format!("it is not a veth, its kind is {kind}"))
                .hint(format!(
                    "if its network carries foreign MAC addresses, confirm it with DIND_NET_UPLINK={name}"
                )));
        }
        warnings.push(Warning::new(
            fault::UPLINK_FORCED,
            format!(
                "{name} is not a veth, its kind is {kind}; its network has to carry foreign MAC addresses"
            ),
            "if inner containers cannot be reached, leave DOCKER_NETWORK_OFFSET unset",
        ));
    }
    Ok(link)
}

/// The address in whose subnet the gateway is: the one that the default route prefers, or the first.
fn own_address(net: &Net, default: &Route) -> Result<(Ipv4Net, Ipv4Addr), Fault> {
    let Some(IpAddr::V4(gateway)) = default.gateway else {
        return Err(fault::UPLINK_ADDRESS_MISSING
            .failed("cannot find the gateway", format!("the default route over {} has no IPv4 gateway", default.link))
            .hint("connect the container to a network with an IPv4 gateway, or leave DOCKER_NETWORK_OFFSET unset"));
    };
    let candidates: Vec<Ipv4Net> = net
        .addresses_of(&default.link)
        .filter_map(|address: &Address| match address.address {
            IpNet::V4(own) if own.contains(&gateway) => Some(own),
            _ => None,
        })
        .collect();
    let preferred = candidates.iter().find(|own| default.source == Some(IpAddr::V4(own.addr())));
    match preferred.or(candidates.first()) {
        Some(own) => Ok((*own, gateway)),
        None => Err(fault::UPLINK_ADDRESS_MISSING
            .failed(
                format!("cannot choose an address of {}", default.link),
                format!("none is in the subnet of the gateway {gateway}"),
            )
            .hint("give the container an address in its gateway's subnet")),
    }
}

fn check_bridge_is_free(facts: &Facts, options: &Options) -> Result<(), Fault> {
    let Some(link) = facts.net.link(&options.bridge) else { return Ok(()) };
    let spanning = if link.stp { ", with spanning tree on" } else { "" };
    Err(fault::BRIDGE_EXISTS
        .cannot(
            "create",
            &link.name,
            format!("a link of that name exists{spanning}, and dind-net did not make it"),
        )
        .hint(format!(
            "remove it with `ip link delete {}`, or choose another name with DIND_NET_BRIDGE",
            link.name
        )))
}

/// The uplink, its addresses and its routes.
fn only_of(net: &Net, uplink: &Link) -> Net {
    Net {
        links: vec![uplink.clone()],
        addresses: net.addresses_of(&uplink.name).cloned().collect(),
        routes: net.routes_of(&uplink.name).cloned().collect(),
        neighbours: net.neighbours.iter().filter(|entry| entry.link == uplink.name).cloned().collect(),
        rules: Vec::new(),
    }
}
