//! Bridged mode, decided: the uplink, its address and gateway, and every reason not to touch them.

use crate::change::Bridging;
use crate::facts::Facts;
use crate::fault;
use crate::net::{Address, Link, Net, Route};
use crate::options::Options;
use crate::range::{self, Offset, Question, Range};
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
    pub range: Range,
}

/// Decides, or refuses while nothing has changed.
///
/// # Errors
/// See the guards below, and [`range::compute`].
pub fn decide(
    facts: &Facts,
    options: &Options,
    offset: Offset,
    warnings: &mut Vec<Warning>,
) -> Result<Bridged, Fault> {
    if let Some(journal) = &facts.journal {
        same_bridge(&journal.bridging, options)?;
    } else {
        own_namespace(facts)?;
    }
    let net = facts.before();
    let default = default_route(net, options)?;
    let uplink = usable(facts, options, &default.link, warnings)?;
    let (address, gateway) = own_address(net, &default)?;
    let mtu = mtu(uplink, options)?;
    if facts.journal.is_none() {
        no_stranger(facts, options)?;
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
    if net.addresses_of(&uplink.name).any(|address| address.address.addr().is_ipv6()) {
        warnings.push(Warning::new(
            fault::IPV6_MOVED,
            format!(
                "the IPv6 addresses of {} move to {} too; inner containers get none",
                uplink.name, options.bridge
            ),
            "",
        ));
    }
    let range = range::compute(&Question { address, gateway, offset, size: options.size })?;
    let mac = uplink.mac.clone().ok_or_else(|| unusable(uplink, "it has no hardware address"))?;
    let bridging = Bridging { bridge: options.bridge.clone(), uplink: uplink.name.clone(), mac, mtu };
    Ok(Bridged { before: only(net, uplink), bridging, address, gateway, range })
}

fn same_bridge(bridging: &Bridging, options: &Options) -> Result<(), Fault> {
    let other_uplink = options.uplink.as_ref().is_some_and(|uplink| *uplink != bridging.uplink);
    if bridging.bridge == options.bridge && !other_uplink {
        return Ok(());
    }
    Err(fault::ALREADY_BRIDGED
        .cannot("bridge", &options.bridge, format!("{} is in {} already", bridging.uplink, bridging.bridge))
        .hint("run `dind-net release` first"))
}

fn own_namespace(facts: &Facts) -> Result<(), Fault> {
    if facts.host_network {
        return Err(fault::HOST_NETWORK
            .cannot("bridge", "the uplink", "this is the machine's own network namespace, not a container's")
            .hint("run the container without --network host, or leave DOCKER_NETWORK_OFFSET unset"));
    }
    Ok(())
}

/// The default route that leads to the uplink. Two links with one are two candidates, whatever the metrics say.
fn default_route(net: &Net, options: &Options) -> Result<Route, Fault> {
    let mut routes: Vec<_> = net.routes.iter().filter(|route| route.is_default()).collect();
    routes.sort_by_key(|route| route.metric);
    if let Some(name) = &options.uplink {
        if net.link(name).is_none() {
            return Err(fault::UPLINK_MISSING
                .cannot("find", name, "there is no such link")
                .hint("set DIND_NET_UPLINK to the link of the outer network, or leave it unset"));
        }
        routes.retain(|route| route.link == *name);
    }
    let Some(first) = routes.first() else {
        return Err(fault::UPLINK_MISSING
            .cannot("find", options.uplink.as_deref().unwrap_or("the uplink"), "it has no IPv4 default route")
            .hint("connect the container to a network with an IPv4 gateway, or leave DOCKER_NETWORK_OFFSET unset"));
    };
    if let Some(other) = routes.iter().find(|route| route.link != first.link) {
        return Err(fault::UPLINK_AMBIGUOUS
            .cannot(
                "choose",
                "the uplink",
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

fn usable<'a>(
    facts: &'a Facts,
    options: &Options,
    name: &str,
    warnings: &mut Vec<Warning>,
) -> Result<&'a Link, Fault> {
    let link =
        facts.before().link(name).ok_or_else(|| fault::UPLINK_MISSING.cannot("find", name, "it is gone"))?;
    let kind = link.kind.as_deref().unwrap_or("none");
    if matches!(kind, "bridge" | "ipvlan" | "macvlan") {
        // macvlan and ipvlan deliver nothing to a MAC address that is not their own: inner containers stay unheard.
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
                .cannot("bridge", name, format!("it is no veth, its kind is {kind}"))
                .hint(format!(
                    "if its network carries foreign MAC addresses, say so with DIND_NET_UPLINK={name}"
                )));
        }
        warnings.push(Warning::new(
            fault::UPLINK_FORCED,
            format!("{name} is no veth, its kind is {kind}; its network has to carry foreign MAC addresses"),
            "if inner containers are not reached, leave DOCKER_NETWORK_OFFSET unset",
        ));
    }
    Ok(link)
}

/// The address in whose subnet the gateway is: the one that the default route prefers, or the first.
fn own_address(net: &Net, default: &Route) -> Result<(Ipv4Net, Ipv4Addr), Fault> {
    let Some(IpAddr::V4(gateway)) = default.gateway else {
        return Err(fault::UPLINK_ADDRESS_MISSING
            .cannot("find", "the gateway", format!("the default route over {} has no IPv4 gateway", default.link))
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
            .cannot(
                "find",
                format!("an address of {}", default.link),
                format!("none is in the subnet of the gateway {gateway}"),
            )
            .hint("give the container an address in its gateway's subnet")),
    }
}

/// The MTU that was asked for, or the uplink's.
///
/// # Errors
/// [`fault::MTU_INVALID`] for more than the uplink carries.
pub fn mtu(uplink: &Link, options: &Options) -> Result<u32, Fault> {
    match options.mtu {
        Some(mtu) if mtu > uplink.mtu => Err(fault::MTU_INVALID
            .cannot(
                "use",
                format!("DIND_NET_MTU={mtu}"),
                format!("{} carries {} bytes at most", uplink.name, uplink.mtu),
            )
            .hint("leave DIND_NET_MTU unset: the uplink's MTU is taken")),
        Some(mtu) => Ok(mtu),
        None => Ok(uplink.mtu),
    }
}

fn no_stranger(facts: &Facts, options: &Options) -> Result<(), Fault> {
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
fn only(net: &Net, uplink: &Link) -> Net {
    Net {
        links: vec![uplink.clone()],
        addresses: net.addresses_of(&uplink.name).cloned().collect(),
        routes: net.routes_of(&uplink.name).cloned().collect(),
        neighbours: net.neighbours.iter().filter(|entry| entry.link == uplink.name).cloned().collect(),
        rules: Vec::new(),
    }
}
