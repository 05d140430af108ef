//! Packets that fit: the MTU of inner networks, and TCP where they cannot have it.

use crate::facts::Facts;
use crate::fault;
use crate::netlink::net::Link;
use crate::options::Options;
use crate::plan::rules::why_no_rules;
use dind_contract::{Engine, Fault, Warning};
use serde_json::json;

/// The first engine that knows `default-network-opts` (moby 24.0, "dockerd: add --default-network-opt").
const ENGINE_WITH_NETWORK_OPTS: u32 = 24;
/// What engines take by default.
const ETHERNET_MTU: u32 = 1500;

/// The MTU that was asked for, or the uplink's.
///
/// # Errors
/// [`fault::MTU_INVALID`] for more than the uplink carries.
pub fn of_uplink(uplink: &Link, options: &Options) -> Result<u32, Fault> {
    match options.mtu {
        Some(mtu) if mtu > uplink.mtu => Err(fault::MTU_INVALID
            .invalid("DIND_NET_MTU", mtu, format!("{} carries {} bytes at most", uplink.name, uplink.mtu))
            .hint("leave DIND_NET_MTU unset: the uplink's MTU is taken")),
        Some(mtu) => Ok(mtu),
        None => Ok(uplink.mtu),
    }
}

/// Sets the MTU of the default bridge, and that of user-defined networks where the engine knows how.
pub fn configure(mtu: u32, options: &Options, engine: &mut Engine) {
    engine.set("mtu", mtu);
    if mtu != ETHERNET_MTU && has_network_opts(options) {
        let opts = json!({"bridge": {"com.docker.network.driver.mtu": mtu.to_string()}});
        engine.set("default-network-opts", opts);
    }
}

/// Whether TCP is clamped, and a warning where it has to be and cannot.
///
/// User-defined networks keep an MTU of 1500 where the engine does not know how to set another one, and where a user asks for
/// it. Then TCP is made to use segments that fit: a sender that never hears of the smaller MTU would hang otherwise.
#[must_use]
pub fn decide_clamp(facts: &Facts, options: &Options, mtu: Option<u32>) -> (bool, Option<Warning>) {
    let alone = !facts.host_network && facts.other_engine.is_none();
    let Some(mtu) = mtu.filter(|mtu| *mtu < ETHERNET_MTU && alone) else {
        return (false, None);
    };
    let Some(why) = why_no_rules(facts) else { return (true, None) };
    let warning = (!has_network_opts(options)).then(|| {
        Warning::new(
            fault::MTU_USER_NETWORKS,
            format!(
                "user-defined networks get an MTU of 1500, the uplink carries {mtu}, and TCP cannot be clamped: {why}"
            ),
            format!("create them with --opt com.docker.network.driver.mtu={mtu}"),
        )
    });
    (false, warning)
}

fn has_network_opts(options: &Options) -> bool {
    options.engine.is_some_and(|major| major >= ENGINE_WITH_NETWORK_OPTS)
}
