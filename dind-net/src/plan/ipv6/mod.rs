//! Whether inner containers get IPv6, and how.
//!
//! Default mode: unique local networks of their own ([`pool6`]), behind the node's address. Bridged mode: addresses of the outer
//! subnet ([`range`]), for those on the default bridge. What each engine can is in `engine`.

mod engine;
pub mod place;

use crate::facts::Facts;
use crate::facts::ipv6::Record;
use crate::fault;
use crate::netlink::net::{Address, Net, Route};
use crate::options::Options;
use crate::plan::bridged::Bridged;
use crate::plan::firewall::Firewall;
use crate::plan::{pool6, range};
use crate::report::{Ipv6, WhyNot};
use crate::values::Switch;
use dind_contract::{Engine, Fault, Warning};
use ipnet::{IpNet, Ipv6Net};
use place::{Obstacle, Place};
use range::Question;
use std::net::IpAddr;

/// `RTPROT_RA`: learned from a router's advertisement.
const PROTOCOL_RA: u8 = 9;

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// `result.ipv6` of the document; nothing where nobody asked and the outer network has none.
    pub report: Option<Ipv6>,
    /// Default mode: what dockerd's networks are cut from.
    pub pools: Option<pool6::Networks>,
    /// Bridged mode: where the inner containers are.
    pub place: Option<Place>,
    /// Default mode: the link whose routers are listened to although it will forward.
    pub accept_ra: Option<Record>,
    /// For a node whose own IPv6 ends with the bridge.
    pub warning: Option<Warning>,
}

/// The way to the outside.
struct Outer<'a> {
    route: &'a Route,
    addresses: Vec<&'a Address>,
}

impl Decided {
    /// Adds the engine's settings.
    pub fn configure(&self, options: &Options, settings: &mut Engine) {
        if let Some(pools) = &self.pools {
            engine::behind_the_node(pools, options, settings);
        } else if let Some(place) = &self.place {
            engine::on_the_outer_network(place, options, settings);
        }
    }

    /// Whether inner containers get IPv6.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.pools.is_some() || self.place.is_some()
    }
}

/// The link whose routers are listened to only while it does not forward, where the default route is theirs.
#[must_use]
pub fn routers(facts: &Facts) -> Option<Record> {
    let routes = facts.before().routes.iter().filter(|route| route.is_default6());
    routes.min_by_key(|route| route.metric).and_then(|route| learned(facts, route))
}

/// Forwarding makes 1 mean 0, and removes routes that were learned (addrconf.c).
fn learned(facts: &Facts, route: &Route) -> Option<Record> {
    let accept_ra = facts.ipv6.links.get(&route.link).and_then(|controls| controls.accept_ra);
    let is_learned = route.protocol == PROTOCOL_RA && accept_ra == Some(1);
    is_learned.then(|| Record { link: route.link.clone(), accept_ra: 1 })
}

/// Decides.
///
/// # Errors
/// [`fault::IPV6_UNAVAILABLE`], and those of [`range::compute`], where IPv6 was asked for and cannot be.
pub fn decide(
    facts: &Facts,
    options: &Options,
    bridged: Option<&Bridged>,
    firewall: &Firewall,
) -> Result<Decided, Fault> {
    let range_asked = bridged.is_some() && (options.offset6.is_some() || options.size6.is_some());
    let asked = options.ipv6 == Switch::On || range_asked;
    let found = check(facts, options, bridged, firewall).and_then(|outer| match bridged {
        Some(bridged) => on_the_outer_network(options, bridged, &outer),
        None => behind_the_node(facts, &outer),
    });
    let obstacle = match found {
        Ok(decided) => return Ok(decided),
        Err(obstacle) => obstacle,
    };
    let (reason, words) = match obstacle {
        Obstacle::Range(fault) if asked => return Err(fault),
        Obstacle::Reason(_, words, hint) if asked => {
            return Err(fault::IPV6_UNAVAILABLE.failed("cannot use IPv6", words).hint(hint));
        }
        Obstacle::Range(fault) => (WhyNot::Range, fault.message),
        Obstacle::Reason(reason, words, _) => (reason, words),
    };
    let outer_has_it = facts.before().global6().next().is_some();
    if !outer_has_it && options.ipv6 == Switch::Auto {
        return Ok(Decided::default());
    }
    let warning = bridged.filter(|_| outer_has_it).map(|bridged| moved_warning(bridged, options, &words));
    let report = Ipv6 { reason: Some(reason), detail: Some(words), ..Ipv6::default() };
    Ok(Decided { report: Some(report), warning, ..Decided::default() })
}

/// All that has to be there, whatever the mode.
fn check<'a>(
    facts: &'a Facts,
    options: &Options,
    bridged: Option<&'a Bridged>,
    firewall: &Firewall,
) -> Result<Outer<'a>, Obstacle> {
    let because = |reason, words: &str, hint| Err(Obstacle::new(reason, words, hint));
    if options.ipv6 == Switch::Off {
        let hint = "leave DIND_NET_IPV6, DOCKER_NETWORK_OFFSET6 and DOCKER_NETWORK_SIZE6 unset";
        return because(WhyNot::Disabled, "DIND_NET_IPV6 is false", hint);
    }
    if options.no_bridge {
        let words = "a node without a bridge has the networks that its user makes";
        return because(WhyNot::NoBridge, words, "leave DIND_NET_IPV6 or DIND_NET_BRIDGE unset");
    }
    let outer = outer(facts.before(), options, bridged)?;
    let link = &outer.route.link;
    let hint = "start the container on a network with IPv6: docker network create --ipv6 --subnet fd…::/64";
    match facts.ipv6.links.get(link) {
        None => return because(WhyNot::Kernel, "the kernel has no IPv6", hint),
        Some(controls) if controls.disabled => {
            let words = format!("net.ipv6.conf.{link}.disable_ipv6 is 1");
            return because(WhyNot::OuterNetwork, &words, hint);
        }
        Some(_) => {}
    }
    if facts.host_network && options.ipv6 == Switch::Auto {
        let words = "this is the machine's own network namespace, not a container's";
        return because(WhyNot::HostNetwork, words, hint);
    }
    if facts.ipv6.read_only {
        let words =
            "/proc/sys is read-only: the engine can switch neither IPv6 of its bridges nor forwarding on";
        return because(WhyNot::Kernel, words, "start the container with --privileged");
    }
    let hint = "install ip6tables, or load ip6table_nat or nft_chain_nat on the machine";
    let iptables = &firewall.iptables;
    let program = facts.ipv6.program || iptables.links.is_some() || firewall.is_native();
    if !firewall.writes() || !program {
        return because(WhyNot::Firewall, "ip6tables is not installed", hint);
    }
    if let Some(why) = facts.ipv6.nft_refused.as_ref().filter(|_| firewall.is_in_nf_tables()) {
        let words = format!("the kernel has no NAT for IPv6 in nf_tables: {why}");
        return because(WhyNot::Firewall, &words, hint);
    }
    if !firewall.is_in_nf_tables() && !facts.ipv6.legacy {
        return because(WhyNot::Firewall, "the kernel has no ip6_tables", hint);
    }
    Ok(outer)
}

/// The default route, over the uplink in bridged mode, and the addresses that packets leave with.
fn outer<'a>(net: &'a Net, options: &Options, bridged: Option<&'a Bridged>) -> Result<Outer<'a>, Obstacle> {
    let hint = "start the container on a network with IPv6: docker network create --ipv6 --subnet fd…::/64";
    let missing = |words: String| Obstacle::Reason(WhyNot::OuterNetwork, words, hint);
    let uplink = bridged.map(|bridged| &bridged.bridging.uplink).or(options.uplink.as_ref());
    let mut routes: Vec<_> = net.routes.iter().filter(|route| route.is_default6()).collect();
    routes.retain(|route| uplink.is_none_or(|uplink| route.link == *uplink));
    routes.sort_by_key(|route| route.metric);
    let name = uplink.map_or("no link", String::as_str);
    let has = if uplink.is_some() { "has no" } else { "has an" };
    let route = routes.first().copied().ok_or_else(|| missing(format!("{name} {has} IPv6 default route")))?;
    let addresses: Vec<_> = net.global6().filter(|address| address.link == route.link).collect();
    if addresses.is_empty() {
        return Err(missing(format!("{} has no global or unique local IPv6 address", route.link)));
    }
    Ok(Outer { route, addresses })
}

fn behind_the_node(facts: &Facts, outer: &Outer<'_>) -> Result<Decided, Obstacle> {
    let own = outer.addresses.iter().find_map(|address| v6(address.address));
    let pools = own.and_then(|own| pool6::choose(facts, own.addr())).ok_or_else(|| {
        let words = "the container reaches every unique local network that could be its own";
        Obstacle::new(WhyNot::Range, words, "remove the route to fc00::/7 or fd00::/8")
    })?;
    let report = Ipv6 {
        enabled: true,
        subnet: Some(pools.bridge.to_string()),
        pool: Some(pools.pool.to_string()),
        ..Ipv6::default()
    };
    Ok(Decided {
        report: Some(report),
        pools: Some(pools),
        accept_ra: learned(facts, outer.route),
        ..Decided::default()
    })
}

fn on_the_outer_network(
    options: &Options,
    bridged: &Bridged,
    outer: &Outer<'_>,
) -> Result<Decided, Obstacle> {
    let Some(IpAddr::V6(gateway)) = outer.route.gateway else {
        let words = format!("the IPv6 default route over {} has no gateway", outer.route.link);
        return Err(Obstacle::Reason(WhyNot::OuterNetwork, words, "give the outer network an IPv6 gateway"));
    };
    let own = outer.addresses.iter().filter_map(|address| v6(address.address));
    let own: Vec<_> = own.filter(|own| own.prefix_len() < 128).collect();
    let address = own.iter().find(|own| own.contains(&gateway)).or(own.first()).ok_or_else(|| {
        let words = format!("no IPv6 address of {} has a subnet", outer.route.link);
        Obstacle::Reason(WhyNot::OuterNetwork, words, "give the outer network an IPv6 subnet")
    })?;
    let place = if engine::takes_a_range(options)? {
        let (offset, size) = options.range6();
        compute(&Question { address: *address, gateway, offset, size }).map_err(Obstacle::Range)?
    } else {
        let range = engine::range_by_mac(*address, gateway, bridged.range.net, options)?;
        Place { address: *address, gateway, range, offset: None }
    };
    Ok(Decided { report: Some(report(&place)), place: Some(place), ..Decided::default() })
}

/// A range by arithmetic.
fn compute(question: &Question<Ipv6Net>) -> Result<Place, Fault> {
    let range = range::compute(question)?;
    let Question { address, gateway, .. } = *question;
    Ok(Place { address, gateway, range: range.net, offset: Some(range.offset) })
}

/// Decides out of flags alone.
///
/// # Errors
/// Those of [`range::compute`].
pub fn calculate(question: &Question<Ipv6Net>, options: &Options) -> Result<(Ipv6, Engine), Fault> {
    let place = compute(question)?;
    let mut settings = Engine::default();
    engine::on_the_outer_network(&place, options, &mut settings);
    Ok((report(&place), settings))
}

/// What the document says of a range.
fn report(place: &Place) -> Ipv6 {
    Ipv6 {
        enabled: true,
        address: Some(place.address.to_string()),
        gateway: Some(place.gateway),
        subnet: Some(place.address.trunc().to_string()),
        range: Some(place.range.to_string()),
        offset: place.offset,
        ..Ipv6::default()
    }
}

fn v6(address: IpNet) -> Option<Ipv6Net> {
    if let IpNet::V6(address) = address { Some(address) } else { None }
}

fn moved_warning(bridged: &Bridged, options: &Options, why: &str) -> Warning {
    let (uplink, bridge) = (&bridged.bridging.uplink, &bridged.bridging.bridge);
    let words =
        format!("the IPv6 addresses of {uplink} move to {bridge} too; inner containers get none: {why}");
    let hint = match engine::keeps_addresses(options) {
        true => "",
        false => "a dockerd before 25 removes them from the bridge when it starts: the node has no IPv6 then",
    };
    Warning::new(fault::IPV6_MOVED, words, hint)
}

#[cfg(test)]
mod tests;
