//! Options, parsed: a wrong value is refused before anything is read or changed. `bridge` has the bridge's name and address, which
//! depend on the mode.

mod bridge;

use crate::cli::Texts;
use crate::fault::{self, Cause};
use crate::values::{
    AddressPool, Backend, FirewallBackend, Mark, Offset, Switch, address_pools, dns, firewall, iptables,
    ipv6, major, mark, mtu, offset6, parse, pool, size6, widened,
};
pub use bridge::{BRIDGE_WITH_POOLS, DOCKER_BRIDGE, NO_BRIDGE};
use bridge::{bip, bridge};
use dind_contract::cli::given;
use dind_contract::{Code, Fault, value};
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// Where the engine's data lies by default.
const DATA_ROOT: &str = "/var/lib/docker";
/// Prefix length of the inner range by default.
pub const DEFAULT_SIZE: u8 = 24;

/// All options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bridged mode, and where its range lies.
    pub offset: Option<Offset<Ipv4Addr>>,
    /// Prefix length of the range.
    pub size: u8,
    /// Name of the bridge.
    pub bridge: String,
    /// A node without a bridge: [`NO_BRIDGE`] was given in the place of a name.
    pub no_bridge: bool,
    /// Name of the uplink.
    pub uplink: Option<String>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Name servers of inner containers.
    pub dns: Vec<IpAddr>,
    /// The engine begins a new record of its networks.
    pub record_renewed: bool,
    /// The network to cut bridge and pools from.
    pub pool: Option<Ipv4Net>,
    /// The engine's own pools; none where they are ours to choose.
    pub address_pools: Vec<AddressPool>,
    /// The address of the bridge in default mode.
    pub bip: Option<Ipv4Net>,
    /// Whether the range is probed.
    pub probe: bool,
    /// The iptables that is forced.
    pub iptables: Option<Backend>,
    /// The engine's backend that is forced.
    pub firewall: Option<FirewallBackend>,
    /// The mark of what an engine with rules of its own in nf_tables lets out, where one was asked for.
    pub accept_mark: Option<Mark>,
    /// Whether forwarding is switched on ahead of dockerd, where somebody has said so.
    pub forward: Option<bool>,
    /// Whether inner containers get IPv6.
    pub ipv6: Switch,
    /// Bridged mode: where the IPv6 range lies, if not where the IPv4 one does.
    pub offset6: Option<Offset<Ipv6Addr>>,
    /// Bridged mode: prefix length of the IPv6 range, if it has not as many addresses as the IPv4 one.
    pub size6: Option<u8>,
    /// Major version of the inner engine.
    pub engine: Option<u32>,
    /// Where the engine's data lies.
    pub data_root: PathBuf,
    /// Directory of the journal and the iptables links.
    pub state: PathBuf,
    /// The variables of options that are given and have no effect.
    pub ignored: Vec<&'static str>,
}

impl Options {
    /// Parses what was typed.
    ///
    /// # Errors
    /// The first value that is wrong; offset and size are reported together.
    pub fn parse(texts: &Texts) -> Result<Self, Fault> {
        let (offset, size) = (offset(texts), size(texts));
        let causes = [offset.as_ref().err(), size.as_ref().err()];
        let causes: Vec<_> = causes.into_iter().flatten().cloned().collect();
        if let Some(fault) = fault::of_causes("cannot compute the range", &causes) {
            return Err(fault);
        }
        Ok(Self {
            offset: offset.ok().flatten(),
            size: size.unwrap_or(DEFAULT_SIZE),
            bridge: bridge(texts)?,
            no_bridge: given(texts.bridge.as_ref()) == Some(NO_BRIDGE),
            uplink: given(texts.uplink.as_ref()).map(str::to_owned),
            mtu: parse(texts.mtu.as_ref(), mtu, fault::MTU_INVALID, "DIND_NET_MTU", "bytes, such as 1400")?,
            dns: parse(
                texts.dns.as_ref(),
                dns,
                fault::DNS_INVALID,
                "DIND_NET_DNS",
                "addresses such as 10.0.0.2,10.0.0.3",
            )?
            .unwrap_or_default(),
            pool: parse(
                texts.pool.as_ref(),
                pool,
                fault::POOL_INVALID,
                "DIND_NET_POOL",
                "a network such as 10.201.0.0/16",
            )?,
            address_pools: parse(
                texts.address_pools.as_ref(),
                address_pools,
                fault::POOL_INVALID,
                "DIND_NET_ADDRESS_POOLS",
                "pools such as base=10.201.0.0/16,size=24",
            )?
            .unwrap_or_default(),
            bip: bip(texts)?,
            record_renewed: switch(
                texts.record_renewed.as_ref(),
                fault::RECORD_INVALID,
                "DIND_NET_RECORD_RENEWED",
            )?
            .unwrap_or(false),
            probe: switch(texts.probe.as_ref(), fault::PROBE_INVALID, "DIND_NET_PROBE")?.unwrap_or(true),
            iptables: parse(
                texts.iptables.as_ref(),
                iptables,
                fault::IPTABLES_INVALID,
                "DIND_NET_IPTABLES",
                "auto, nft or legacy",
            )?
            .flatten(),
            firewall: parse(
                texts.firewall.as_ref(),
                firewall,
                fault::FIREWALL_INVALID,
                "DIND_NET_FIREWALL",
                "auto, iptables or nftables",
            )?
            .flatten(),
            accept_mark: parse(
                texts.accept_fwmark.as_ref(),
                mark,
                fault::FWMARK_INVALID,
                "DIND_NET_ACCEPT_FWMARK",
                "a mark such as 0x2000/0x2000",
            )?,
            forward: switch(texts.forward.as_ref(), fault::FORWARD_INVALID, "DIND_NET_FORWARD")?,
            ipv6: parse(
                texts.ipv6.as_ref(),
                ipv6,
                fault::IPV6_INVALID,
                "DIND_NET_IPV6",
                "auto, true or false",
            )?
            .unwrap_or(Switch::Auto),
            offset6: parse(
                texts.offset6.as_ref(),
                offset6,
                fault::OFFSET_INVALID,
                "DOCKER_NETWORK_OFFSET6",
                "an offset such as ::100 or 0.0.1.0, or auto",
            )?,
            size6: parse(
                texts.size6.as_ref(),
                size6,
                fault::SIZE_INVALID,
                "DOCKER_NETWORK_SIZE6",
                "a prefix length such as 120",
            )?,
            engine: parse(
                texts.engine_version.as_ref(),
                major,
                fault::ENGINE_VERSION_INVALID,
                "DIND_ENGINE_VERSION",
                "a version such as 24.0.7",
            )?,
            data_root: data_root(texts),
            state: texts.state.directory.clone(),
            ignored: ignored(texts),
        })
    }
}

impl Options {
    /// Offset and prefix length of the IPv6 range. They are those of IPv4 where no others are given: as many addresses, as far
    /// from the own one.
    #[must_use]
    pub fn range6(&self) -> (Offset<Ipv6Addr>, u8) {
        let same = match self.offset {
            Some(Offset::By(offset)) => Offset::By(widened(offset)),
            Some(Offset::Auto) => Offset::Auto,
            None => Offset::By(Ipv6Addr::UNSPECIFIED),
        };
        (self.offset6.unwrap_or(same), self.size6.unwrap_or(96 + self.size))
    }
}

/// The offset that was typed, if any.
pub(crate) fn offset(texts: &Texts) -> Result<Option<Offset<Ipv4Addr>>, Cause> {
    match given(texts.offset.as_ref()) {
        None => Ok(None),
        Some("auto") => Ok(Some(Offset::Auto)),
        Some(text) => match text.parse::<Ipv4Addr>() {
            Ok(offset) => Ok(Some(Offset::By(offset))),
            Err(_) => Err(offset_invalid(format!("the offset `{text}` is neither like 0.0.1.0 nor auto"))),
        },
    }
}

/// An offset that is wrong or missing.
pub(crate) fn offset_invalid(words: impl Into<String>) -> Cause {
    let hint = "give DOCKER_NETWORK_OFFSET (--offset) as a.b.c.d, such as 0.0.1.0, or as auto";
    Cause::new(fault::OFFSET_INVALID, words, hint)
}

/// The size that was typed, or the default.
pub(crate) fn size(texts: &Texts) -> Result<u8, Cause> {
    let Some(text) = given(texts.size.as_ref()) else { return Ok(DEFAULT_SIZE) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u8>().ok().filter(|size| digits && *size <= 32).ok_or_else(|| {
        let words = format!("the size `{text}` is not a number from 0 to 32");
        let hint = "give DOCKER_NETWORK_SIZE (--size) as a prefix length, such as 24";
        Cause::new(fault::SIZE_INVALID, words, hint)
    })
}

/// Those of bridged mode in another one.
fn ignored(texts: &Texts) -> Vec<&'static str> {
    let bridged = [
        ("DIND_NET_ACCEPT_FWMARK", &texts.accept_fwmark),
        ("DOCKER_NETWORK_SIZE", &texts.size),
        ("DOCKER_NETWORK_OFFSET6", &texts.offset6),
        ("DOCKER_NETWORK_SIZE6", &texts.size6),
        ("DIND_NET_PROBE", &texts.probe),
    ];
    let without_offset = bridged.into_iter().filter(|_| given(texts.offset.as_ref()).is_none());
    without_offset.filter(|(_, text)| given(text.as_ref()).is_some()).map(|(name, _)| name).collect()
}

/// An empty variable counts as unset.
fn data_root(texts: &Texts) -> PathBuf {
    let named = texts.data_root.clone().filter(|path| !path.as_os_str().is_empty());
    named.unwrap_or_else(|| DATA_ROOT.into())
}

fn switch(text: Option<&String>, code: Code, variable: &str) -> Result<Option<bool>, Fault> {
    parse(text, value::boolean, code, variable, "true or false")
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
