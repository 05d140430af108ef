//! `result` of dind-net's documents.

use crate::options::Backend;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
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
    /// The name servers of the node.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schemars(with = "Vec<String>")]
    pub resolvers: Vec<IpAddr>,
    /// The program that writes firewall rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iptables: Option<Chosen>,
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
