//! Translates between the messages of rtnetlink and [`crate::netlink::net`].

use crate::netlink::net::{Address, Link, Neighbour, Route, Rule};
use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `RT_TABLE_LOCAL`: the kernel's own book of addresses.
const TABLE_LOCAL: u32 = 255;
/// `IFA_F_TEMPORARY` of IPv6; the same bit is `IFA_F_SECONDARY` of IPv4.
const FLAG_TEMPORARY: u32 = 0x01;
/// The `IFA_F_*` bits that a request can set: NODAD, HOMEADDRESS, NOPREFIXROUTE, MCAUTOJOIN (linux/if_addr.h).
const FLAGS_SETTABLE: u32 = 0x02 | 0x10 | 0x200 | 0x400;
/// `IFA_F_NODAD`.
const FLAG_NODAD: u32 = 0x02;

pub(crate) fn name_of(message: &LinkMessage) -> Option<String> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

pub(crate) fn read_link(message: &LinkMessage, names: &BTreeMap<u32, String>) -> Option<Link> {
    let mut link = Link {
        index: message.header.index,
        name: name_of(message)?,
        up: message.header.flags.contains(LinkFlags::Up),
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) if bytes.len() == 6 => link.mac = Some(mac_text(bytes)),
            LinkAttribute::Controller(index) => link.master = names.get(index).cloned(),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
                        LinkInfo::Data(InfoData::Bridge(data)) => {
                            link.stp = data.iter().any(|item| {
                                matches!(item, InfoBridge::StpState(state) if *state != BridgeStpState::Disabled)
                            });
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(link)
}

pub(crate) fn read_address(message: &AddressMessage, names: &BTreeMap<u32, String>) -> Option<Address> {
    let mut flags = 0;
    let (mut own, mut other, mut broadcast, mut label, mut metric) = (None, None, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => own = Some(*address),
            AddressAttribute::Address(address) => other = Some(*address),
            AddressAttribute::Broadcast(address) => broadcast = Some(*address),
            AddressAttribute::Label(text) => label = Some(text.clone()),
            AddressAttribute::RoutePriority(number) => metric = Some(*number),
            AddressAttribute::Flags(bits) => flags = bits.bits(),
            _ => {}
        }
    }
    let address = own.or(other)?;
    if address.is_ipv6() && flags & FLAG_TEMPORARY != 0 {
        return None;
    }
    Some(Address {
        link: names.get(&message.header.index)?.clone(),
        address: IpNet::new(address, message.header.prefix_len).ok()?,
        peer: other.filter(|other| *other != address),
        broadcast,
        label,
        scope: u8::from(message.header.scope),
        flags: flags & FLAGS_SETTABLE,
        metric,
    })
}

pub(crate) fn write_address(address: &Address, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    let ip = address.address.addr();
    message.header.family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = address.address.prefix_len();
    message.header.scope = address.scope.into();
    message.header.index = index;
    // The address is nobody else's: it was in use on this very machine a moment ago.
    let flags = if ip.is_ipv6() { address.flags | FLAG_NODAD } else { address.flags };
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Local(ip));
    attributes.push(AddressAttribute::Address(address.peer.unwrap_or(ip)));
    attributes.push(AddressAttribute::Flags(AddressFlags::from_bits_retain(flags)));
    attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    attributes.extend(address.label.clone().map(AddressAttribute::Label));
    attributes.extend(address.metric.map(AddressAttribute::RoutePriority));
    message
}

/// One route, or one for each link of a multipath route.
pub(crate) fn read_route(message: &RouteMessage, names: &BTreeMap<u32, String>) -> Vec<Route> {
    let header = &message.header;
    if header.kind != RouteType::Unicast || header.flags.contains(RouteFlags::Cloned) {
        return Vec::new();
    }
    let any = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let Ok(to) = IpNet::new(any, header.destination_prefix_length) else { return Vec::new() };
    let mut route = Route {
        link: String::new(),
        to,
        gateway: None,
        source: None,
        metric: 0,
        table: u32::from(header.table),
        protocol: header.protocol.into(),
        scope: header.scope.into(),
        tos: header.tos,
        onlink: header.flags.contains(RouteFlags::Onlink),
        metrics: BTreeMap::new(),
        unsupported: None,
    };
    let mut links = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => links.push(*index),
            RouteAttribute::Destination(address) => {
                if let Some(net) = ip(address).and_then(|ip| IpNet::new(ip, to.prefix_len()).ok()) {
                    route.to = net;
                }
            }
            RouteAttribute::Gateway(address) => route.gateway = ip(address),
            RouteAttribute::PrefSource(address) => route.source = ip(address),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Metrics(metrics) => read_metrics(metrics, &mut route),
            RouteAttribute::MultiPath(hops) => {
                links.extend(hops.iter().map(|hop| hop.interface_index));
                route.unsupported = Some("multipath".to_owned());
            }
            // Counters and defaults that come back by themselves.
            RouteAttribute::CacheInfo(_) | RouteAttribute::Preference(_) => {}
            RouteAttribute::Source(_) => route.unsupported = Some("a source network".to_owned()),
            RouteAttribute::Via(_) => route.unsupported = Some("a gateway of another family".to_owned()),
            RouteAttribute::NhId(_) => route.unsupported = Some("a next-hop object".to_owned()),
            _ => route.unsupported = Some("an attribute that dind-net does not know".to_owned()),
        }
    }
    if route.table == TABLE_LOCAL {
        return Vec::new();
    }
    let named = links.iter().filter_map(|index| names.get(index));
    named.map(|link| Route { link: link.clone(), ..route.clone() }).collect()
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// `RTAX_LOCK`, `RTAX_MTU`, …: the numbers of linux/rtnetlink.h.
fn read_metrics(metrics: &[RouteMetric], route: &mut Route) {
    for metric in metrics {
        let (number, value) = match metric {
            RouteMetric::Lock(value) => (1, value),
            RouteMetric::Mtu(value) => (2, value),
            RouteMetric::Window(value) => (3, value),
            RouteMetric::Advmss(value) => (8, value),
            RouteMetric::Hoplimit(value) => (10, value),
            RouteMetric::InitCwnd(value) => (11, value),
            RouteMetric::InitRwnd(value) => (14, value),
            RouteMetric::QuickAck(value) => (15, value),
            _ => {
                route.unsupported = Some("a metric that dind-net does not know".to_owned());
                continue;
            }
        };
        route.metrics.insert(number, *value);
    }
}

fn write_metric(number: u16, value: u32) -> Option<RouteMetric> {
    Some(match number {
        1 => RouteMetric::Lock(value),
        2 => RouteMetric::Mtu(value),
        3 => RouteMetric::Window(value),
        8 => RouteMetric::Advmss(value),
        10 => RouteMetric::Hoplimit(value),
        11 => RouteMetric::InitCwnd(value),
        14 => RouteMetric::InitRwnd(value),
        15 => RouteMetric::QuickAck(value),
        _ => return None,
    })
}

pub(crate) fn write_route(route: &Route, index: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family =
        if route.to.addr().is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    header.destination_prefix_length = route.to.prefix_len();
    header.tos = route.tos;
    header.protocol = route.protocol.into();
    header.scope = route.scope.into();
    header.kind = RouteType::Unicast;
    if route.onlink {
        header.flags |= RouteFlags::Onlink;
    }
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    attributes.push(RouteAttribute::Oif(index));
    if route.to.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(route.to.addr().into()));
    }
    attributes.extend(route.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(source.into())));
    if route.metric > 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    let metrics: Vec<_> =
        route.metrics.iter().filter_map(|(number, value)| write_metric(*number, *value)).collect();
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    message
}

pub(crate) fn read_neighbour(message: &NeighbourMessage, names: &BTreeMap<u32, String>) -> Option<Neighbour> {
    if message.header.state != NeighbourState::Permanent {
        return None;
    }
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => address = Some(IpAddr::V4(*ip)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => address = Some(IpAddr::V6(*ip)),
            NeighbourAttribute::LinkLayerAddress(bytes) if bytes.len() == 6 => mac = Some(mac_text(bytes)),
            _ => {}
        }
    }
    Some(Neighbour { link: names.get(&message.header.ifindex)?.clone(), address: address?, mac: mac? })
}

pub(crate) fn write_neighbour(neighbour: &Neighbour, index: u32) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    let (family, address) = match neighbour.address {
        IpAddr::V4(ip) => (AddressFamily::Inet, NeighbourAddress::Inet(ip)),
        IpAddr::V6(ip) => (AddressFamily::Inet6, NeighbourAddress::Inet6(ip)),
    };
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(address));
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac_bytes(&neighbour.mac)));
    message
}

/// One entry for each link that the rule names.
pub(crate) fn read_rule(message: &RuleMessage) -> Vec<Rule> {
    let (mut priority, mut links) = (0, Vec::new());
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Iifname(name) | RuleAttribute::Oifname(name) => links.push(name.clone()),
            _ => {}
        }
    }
    links.into_iter().map(|link| Rule { priority, link }).collect()
}

fn mac_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// The bytes of `02:42:ac:11:00:02`; anything but a number counts as 0.
#[must_use]
pub fn mac_bytes(text: &str) -> Vec<u8> {
    text.split(':').map(|part| u8::from_str_radix(part, 16).unwrap_or(0)).collect()
}
