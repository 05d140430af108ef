//! `result` of dind-net's documents.

use crate::values::{Backend, FirewallBackend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// How the inner containers are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In subnets of their own, behind the node's address.
    #[default]
    Default,
    /// On the outer network, with addresses of its subnet.
    Bridged,
    /// On user-defined networks or the node's own: there is no default bridge.
    None,
    /// Nothing of dind-net is left.
    Released,
}

/// What was found and decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// How the inner containers are connected.
    pub mode: Mode,
    /// The bridge that the inner containers join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
    /// The link to the outer network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink: Option<String>,
    /// The outer network's gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub gateway: Option<Ipv4Addr>,
    /// The subnet of the bridge, in CIDR notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// Bridged mode: the addresses of inner containers, in CIDR notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// Bridged mode: the offset, also where `auto` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub offset: Option<Ipv4Addr>,
    /// Where user-defined networks are cut from, in CIDR notation.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pools: Vec<String>,
    /// IPv6 of inner containers; missing where nobody asked and the outer network has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6>,
    /// The name servers of the node.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schemars(with = "Vec<String>")]
    pub resolvers: Vec<IpAddr>,
    /// The iptables that writes the engine's firewall rules; missing where it writes them with `nft`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iptables: Option<Chosen>,
    /// What the engine writes its firewall rules with, where it has a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Firewall>,
}

/// What the engine writes its firewall rules with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Firewall {
    /// The backend.
    pub backend: FirewallBackend,
    /// Why this one.
    pub reason: FirewallReason,
    /// Why not the other, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why a backend of the engine was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FirewallReason {
    /// `DIND_NET_FIREWALL` names it.
    Forced,
    /// Engine, kernel and programs have nftables.
    Works,
    /// `DIND_NET_IPTABLES` names an iptables.
    IptablesNamed,
    /// The engine is older than 29.
    EngineVersion,
    /// The program `nft` is missing.
    NftMissing,
    /// The kernel's nf_tables has not all that is needed.
    Kernel,
    /// The engine is a node of a swarm.
    Swarm,
    /// Packets are not forwarded, and that is not for us to change.
    Forwarding,
    /// The network namespace is the machine's own.
    HostNetwork,
    /// Rules of iptables decide already what is forwarded.
    HasRules,
}

/// IPv6 of inner containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ipv6 {
    /// Whether they get it.
    pub enabled: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<WhyNot>,
    /// Why not, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Bridged mode: the node's own address, with the subnet's prefix length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Bridged mode: the outer network's gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub gateway: Option<Ipv6Addr>,
    /// The subnet of the bridge, in CIDR notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// Bridged mode: the addresses of inner containers, in CIDR notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// Bridged mode: the offset, also where `auto` was asked for; missing where the engine chooses addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub offset: Option<Ipv6Addr>,
    /// Default mode: where user-defined networks are cut from, in CIDR notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// Why inner containers get no IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhyNot {
    /// `DIND_NET_IPV6` is false.
    Disabled,
    /// The outer network has none.
    OuterNetwork,
    /// The kernel has none, or does not let it be switched on.
    Kernel,
    /// The node has no bridge.
    NoBridge,
    /// The network namespace is the machine's own.
    HostNetwork,
    /// The kernel or the programs have no firewall for it.
    Firewall,
    /// No range can be computed.
    Range,
    /// The engine cannot, or its version is not known.
    EngineVersion,
}

/// The bridge that the inner containers join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Its address with the subnet's prefix length.
    pub address: String,
    /// Its hardware address, where it is known beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// The iptables that the engine calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chosen {
    /// The backend.
    pub backend: Backend,
    /// Why this one.
    pub reason: Reason,
    /// The program, where it is not what plain `iptables` is: the engine gets a directory of links to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
}

/// Why a backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// `DIND_NET_IPTABLES` names it.
    Forced,
    /// It has rules already.
    HasRules,
    /// The kernel has nf_tables.
    Works,
    /// The kernel has no nf_tables.
    Fallback,
    /// It is what `iptables` is, and nothing speaks against it.
    Installed,
}
