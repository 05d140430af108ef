//! The name of the bridge and its address: which of them go with which mode.

use crate::cli::Texts;
use crate::fault;
use crate::values::parse;
use dind_contract::Fault;
use dind_contract::cli::given;
use ipnet::Ipv4Net;

/// The bridge that dockerd makes and looks for by default.
pub const DOCKER_BRIDGE: &str = "docker0";
/// The bridge of bridged mode where the user has pools for user-defined networks: see [`crate::plan`].
pub const BRIDGE_WITH_POOLS: &str = "dind0";
/// What dockerd calls a default bridge that does not exist.
pub const NO_BRIDGE: &str = "none";

/// dev_valid_name() of the kernel, and no character that a shell or a file of settings would trip over.
pub(super) fn bridge(texts: &Texts) -> Result<String, Fault> {
    let valid = |name: &str| {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if plain && name.len() < nix::libc::IFNAMSIZ && !name.starts_with(['-', '.']) {
            Ok(name.to_owned())
        } else {
            Err("a link cannot have this name".to_owned())
        }
    };
    let expected = "1 to 15 letters, digits, dashes, underscores or dots";
    let name = parse(texts.bridge.as_ref(), valid, fault::BRIDGE_INVALID, "DIND_NET_BRIDGE", expected)?;
    let pools = [&texts.pool, &texts.address_pools].into_iter().any(|pools| given(pools.as_ref()).is_some());
    let with_pools = pools && given(texts.offset.as_ref()).is_some();
    if with_pools && name.as_deref() == Some(DOCKER_BRIDGE) {
        let cause = "an engine with pools deletes a bridge of this name when it starts again, and the uplink is in it";
        return Err(fault::BRIDGE_INVALID
            .invalid("DIND_NET_BRIDGE", DOCKER_BRIDGE, cause)
            .hint("leave DIND_NET_BRIDGE unset, or DIND_NET_POOL and `default-address-pools`"));
    }
    let name = name.unwrap_or_else(|| if with_pools { BRIDGE_WITH_POOLS } else { DOCKER_BRIDGE }.to_owned());
    if name == NO_BRIDGE {
        return match given(texts.offset.as_ref()) {
            None => Ok(name),
            Some(_) => Err(fault::BRIDGE_INVALID
                .invalid("DIND_NET_BRIDGE", &name, "bridged mode has a bridge")
                .hint("leave DIND_NET_BRIDGE or DOCKER_NETWORK_OFFSET unset")),
        };
    }
    if name != DOCKER_BRIDGE && given(texts.offset.as_ref()).is_none() {
        return Err(fault::BRIDGE_INVALID
            .invalid(
                "DIND_NET_BRIDGE",
                &name,
                "in default mode dockerd makes the bridge, and calls it docker0",
            )
            .hint("leave DIND_NET_BRIDGE unset, or choose bridged mode with DOCKER_NETWORK_OFFSET"));
    }
    Ok(name)
}

/// A bridged node has its address from the outer network.
pub(super) fn bip(texts: &Texts) -> Result<Option<Ipv4Net>, Fault> {
    let host = |text: &str| match text.parse::<Ipv4Net>() {
        Ok(net) if net.prefix_len() > 30 || net.addr() == net.network() || net.addr() == net.broadcast() => {
            Err("it is not the address of a host in its subnet".to_owned())
        }
        Ok(net) => Ok(net),
        Err(_) => Err("it is not an IPv4 address with a prefix".to_owned()),
    };
    let expected = "an address such as 10.201.0.1/16";
    let bip = parse(texts.bip.as_ref(), host, fault::BIP_INVALID, "DIND_NET_BIP", expected)?;
    match bip {
        Some(bip) if given(texts.offset.as_ref()).is_some() => Err(fault::BIP_INVALID
            .invalid("DIND_NET_BIP", bip, "a bridged node has its address from the outer network")
            .hint("leave DIND_NET_BIP unset, or DOCKER_NETWORK_OFFSET")),
        bip => Ok(bip),
    }
}
