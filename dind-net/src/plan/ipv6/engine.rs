//! What engines can, by their major version (moby, cmd/dockerd/config_unix.go and daemon/daemon_unix.go).
//!
//! | engine | |
//! |---|---|
//! | before 27 | `ip6tables` is refused without `experimental`, and off by default; user-defined networks need `--ipv6` |
//! | before 28 | `fixed-cidr-v6` is the bridge's whole network, not a part of it, and the bridge keeps one address, which is in it; for containers in a network of /80 or larger the last 48 bits are their MAC address, and that is `02:42` and their IPv4 address |
//! | 28 and later | `fixed-cidr-v6` is a part of the network of the bridge's own address, as with IPv4 |

use super::place::{Obstacle, Place};
use crate::options::{DOCKER_BRIDGE, Options};
use crate::plan::pool6::{NETWORK_SIZE, Networks};
use crate::report::WhyNot;
use dind_contract::Engine;
use ipnet::{Ipv4Net, Ipv6Net};
use serde_json::{Value, json};
use std::net::Ipv6Addr;

/// Network options for all networks of a driver, `enable_ipv6` among them (moby, daemon/network.go).
const NETWORKS_BY_DEFAULT: u32 = 27;
/// `ip6tables` without `experimental`, and on by default.
const IP6TABLES_BY_DEFAULT: u32 = 27;
/// `bip6`, and a `fixed-cidr-v6` inside the network of the bridge.
const RANGES: u32 = 28;
/// Nothing is removed from a bridge that dockerd does not give IPv6.
const LEAVES_ADDRESSES: u32 = 25;
/// The longest prefix with room for a MAC address.
const LONGEST_FOR_MAC: u8 = 80;

/// Whether the engine takes a range of a larger subnet.
pub(super) fn takes_a_range(options: &Options) -> Result<bool, Obstacle> {
    options.engine.map(|major| major >= RANGES).ok_or_else(|| {
        let words = "the version of the engine is not known";
        Obstacle::new(WhyNot::EngineVersion, words, "set DIND_ENGINE_VERSION to the version of dockerd")
    })
}

/// Whether the engine leaves IPv6 addresses of a bridge alone that gets no IPv6 from it.
pub(super) fn keeps_addresses(options: &Options) -> bool {
    options.engine.is_some_and(|major| major >= LEAVES_ADDRESSES)
}

/// Where containers of an older engine are: the IPv4 range, after 80 bits of the node's own address and `02:42`.
pub(super) fn range_by_mac(
    own: Ipv6Net,
    gateway: Ipv6Addr,
    range: Ipv4Net,
    options: &Options,
) -> Result<Ipv6Net, Obstacle> {
    let hint = "use an engine of version 28 or later, or leave DOCKER_NETWORK_OFFSET6 and DOCKER_NETWORK_SIZE6 unset";
    let because = |words: &str| Obstacle::new(WhyNot::EngineVersion, words, hint);
    if options.offset6.is_some() || options.size6.is_some() {
        let words =
            "an engine before 28 chooses addresses by itself: the IPv4 address is the end of the IPv6 one";
        return Err(because(words));
    }
    if own.prefix_len() > LONGEST_FOR_MAC {
        let subnet = own.trunc();
        return Err(because(&format!("an engine before 28 needs a subnet of /80 or larger, not {subnet}")));
    }
    let host = 0x0242_u128 << 32 | u128::from(u32::from(range.network()));
    let network = u128::from(own.addr()) >> 48 << 48 | host;
    let net = Ipv6Net::new(network.into(), 96 + range.prefix_len());
    let net = net.map_err(|error| because(&error.to_string()))?;
    if let Some(held) = [own.addr(), gateway].iter().find(|address| net.contains(*address)) {
        return Err(because(&format!("{net}, which such an engine would use, holds {held}")));
    }
    Ok(net)
}

/// Default mode.
pub(super) fn behind_the_node(networks: &Networks, options: &Options, engine: &mut Engine) {
    switch_on(options, engine);
    engine.set("fixed-cidr-v6", networks.bridge.to_string());
    if let Some(Value::Array(pools)) = engine.config.get_mut("default-address-pools") {
        // The user may have one of his own.
        let is_ipv6 = |pool: &Value| pool["base"].as_str().is_some_and(|base| base.contains(':'));
        if !pools.iter().any(is_ipv6) {
            pools.push(json!({"base": networks.pool.to_string(), "size": NETWORK_SIZE}));
        }
    }
    if options.engine.is_some_and(|major| major >= NETWORKS_BY_DEFAULT) {
        let opts = engine.config.entry("default-network-opts").or_insert_with(|| json!({}));
        let bridge = opts.as_object_mut().map(|opts| opts.entry("bridge").or_insert_with(|| json!({})));
        if let Some(Value::Object(bridge)) = bridge {
            bridge.insert("com.docker.network.enable_ipv6".to_owned(), json!("true"));
        }
    }
}

/// Bridged mode.
pub(super) fn on_the_outer_network(place: &Place, options: &Options, engine: &mut Engine) {
    switch_on(options, engine);
    let subnet = place.address.trunc();
    // It refuses a gateway outside the bridge's network. Without one, the node is the gateway.
    if subnet.contains(&place.gateway) {
        engine.set("default-gateway-v6", place.gateway.to_string());
    }
    if options.engine.is_some_and(|major| major < RANGES) {
        engine.set("fixed-cidr-v6", subnet.to_string());
        return;
    }
    engine.set("fixed-cidr-v6", place.range.to_string());
    if options.bridge == DOCKER_BRIDGE && options.engine.is_some() {
        engine.set("bip6", place.address.to_string());
    }
}

fn switch_on(options: &Options, engine: &mut Engine) {
    engine.set("ipv6", true);
    if options.engine.is_none_or(|major| major < IP6TABLES_BY_DEFAULT) {
        engine.set("ip6tables", true);
        engine.set("experimental", true);
    }
}
