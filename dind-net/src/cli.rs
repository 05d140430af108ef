//! The command line.

use clap::{Args, Parser, Subcommand};
use dind_contract::cli::{Machine, Output, Printing};
use ipnet::IpNet;
use std::path::PathBuf;

/// Where the journal and the iptables links lie by default.
pub const DEFAULT_STATE: &str = "/run/dind";

/// Computes and applies the network of an inner Docker Engine.
#[derive(Debug, Parser)]
#[command(name = "dind-net", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Decide, and change nothing; with --address compute only, and read nothing.
    Plan {
        /// The container's own address with the subnet's prefix, such as 172.17.0.5/16 or fd77::5/64.
        #[arg(long, value_name = "ADDRESS/N", allow_hyphen_values = true)]
        address: Option<String>,
        /// The outer network's gateway, with --address.
        #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true)]
        gateway: Option<String>,
        /// What is wanted.
        #[command(flatten)]
        texts: Texts,
        /// Of which machine.
        #[command(flatten)]
        machine: Machine,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Decide, and change the network accordingly; a second run changes nothing.
    Apply {
        /// What is wanted.
        #[command(flatten)]
        texts: Texts,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Ask whether the ranges of bridged mode are in use, before an apply or beside it.
    Probe {
        /// The range; with --link, nothing else of the machine is read.
        #[arg(long, value_name = "NETWORK", requires = "link")]
        range: Option<IpNet>,
        /// The link to ask on.
        #[arg(long, value_name = "NAME", requires = "range")]
        link: Option<String>,
        /// What is wanted.
        #[command(flatten)]
        texts: Texts,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Restore the uplink's original configuration.
    Release {
        /// Where its record is.
        #[command(flatten)]
        state: State,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
}

impl Verb {
    /// The verb's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "plan",
            Self::Apply { .. } => "apply",
            Self::Probe { .. } => "probe",
            Self::Release { .. } => "release",
        }
    }

    /// How its document is printed.
    #[must_use]
    pub fn output(&self) -> Option<Output> {
        match self {
            Self::Plan { printing, .. }
            | Self::Apply { printing, .. }
            | Self::Probe { printing, .. }
            | Self::Release { printing, .. } => printing.output(),
        }
    }
}

/// Options as they were typed; [`crate::options`] parses them.
#[derive(Args, Clone, Debug, Default)]
pub struct Texts {
    /// Bridged mode: offset of the inner range from the container's own address, such as 0.0.1.0, or auto.
    #[arg(long, value_name = "OFFSET", env = "DOCKER_NETWORK_OFFSET", allow_hyphen_values = true)]
    pub offset: Option<String>,
    /// Bridged mode: prefix length of the inner range [default: 24].
    #[arg(long, value_name = "PREFIX", env = "DOCKER_NETWORK_SIZE", allow_hyphen_values = true)]
    pub size: Option<String>,
    /// Name of the bridge, or none for a node without one [default: docker0].
    #[arg(long, value_name = "NAME", env = "DIND_NET_BRIDGE", allow_hyphen_values = true)]
    pub bridge: Option<String>,
    /// The link to the outer network [default: the one with the default route].
    #[arg(long, value_name = "NAME", env = "DIND_NET_UPLINK", allow_hyphen_values = true)]
    pub uplink: Option<String>,
    /// MTU in bytes [default: the uplink's].
    #[arg(long, value_name = "BYTES", env = "DIND_NET_MTU", allow_hyphen_values = true)]
    pub mtu: Option<String>,
    /// Name servers of inner containers, separated by commas or spaces.
    #[arg(long, value_name = "ADDRESSES", env = "DIND_NET_DNS", allow_hyphen_values = true)]
    pub dns: Option<String>,
    /// The network that the default bridge and the pools of user-defined networks are cut from [default: what is free].
    #[arg(long, value_name = "NETWORK", env = "DIND_NET_POOL", allow_hyphen_values = true)]
    pub pool: Option<String>,
    /// The engine's own pools, as its flag --default-address-pool has each, separated by spaces [default: what is free].
    #[arg(long, value_name = "POOLS", env = "DIND_NET_ADDRESS_POOLS", allow_hyphen_values = true)]
    pub address_pools: Option<String>,
    /// Default mode: address of the bridge with its prefix, as the engine's `bip` has it [default: one that is free].
    #[arg(long, value_name = "ADDRESS/N", env = "DIND_NET_BIP", allow_hyphen_values = true)]
    pub bip: Option<String>,
    /// Bridged mode: ask by ARP whether the range is in use [default: true].
    #[arg(long, value_name = "BOOL", env = "DIND_NET_PROBE", allow_hyphen_values = true)]
    pub probe: Option<String>,
    /// iptables backend: auto, nft or legacy [default: auto].
    #[arg(long, value_name = "BACKEND", env = "DIND_NET_IPTABLES", allow_hyphen_values = true)]
    pub iptables: Option<String>,
    /// What the engine writes its firewall rules with: auto, iptables or nftables [default: auto].
    #[arg(long, value_name = "BACKEND", env = "DIND_NET_FIREWALL", allow_hyphen_values = true)]
    pub firewall: Option<String>,
    /// Bridged mode with nftables: the mark of packets that the engine lets out, as its `bridge-accept-fwmark` has it.
    #[arg(long, value_name = "MARK", env = "DIND_NET_ACCEPT_FWMARK", allow_hyphen_values = true)]
    pub accept_fwmark: Option<String>,
    /// Switch forwarding on ahead of dockerd, with the same policy [default: with nftables only].
    #[arg(long, value_name = "BOOL", env = "DIND_NET_FORWARD", allow_hyphen_values = true)]
    pub forward: Option<String>,
    /// IPv6 of inner containers: auto, true or false [default: auto].
    #[arg(long, value_name = "SWITCH", env = "DIND_NET_IPV6", allow_hyphen_values = true)]
    pub ipv6: Option<String>,
    /// Bridged mode: offset of the inner IPv6 range, such as ::100, or auto [default: that of IPv4].
    #[arg(long, value_name = "OFFSET", env = "DOCKER_NETWORK_OFFSET6", allow_hyphen_values = true)]
    pub offset6: Option<String>,
    /// Bridged mode: prefix length of the inner IPv6 range [default: as many addresses as IPv4].
    #[arg(long, value_name = "PREFIX", env = "DOCKER_NETWORK_SIZE6", allow_hyphen_values = true)]
    pub size6: Option<String>,
    /// Version of the inner engine, such as 24.0.7; options that it may not know are left out.
    #[arg(long, value_name = "VERSION", env = "DIND_ENGINE_VERSION", allow_hyphen_values = true)]
    pub engine_version: Option<String>,
    /// The engine's data root, whose record of networks is read [default: /var/lib/docker].
    #[arg(long, value_name = "DIR", env = "DIND_DATA_ROOT")]
    pub data_root: Option<PathBuf>,
    /// Whether the engine's record of networks will be removed before it starts [default: false].
    #[arg(long, value_name = "BOOL", env = "DIND_NET_RECORD_RENEWED", allow_hyphen_values = true)]
    pub record_renewed: Option<String>,
    /// Where the record of the changes is.
    #[command(flatten)]
    pub state: State,
}

/// Where the record of the changes is.
#[derive(Args, Clone, Debug, Default)]
pub struct State {
    /// Directory of the journal and the iptables links.
    #[arg(long = "state", value_name = "DIR", env = "DIND_NET_STATE", default_value = DEFAULT_STATE)]
    pub directory: PathBuf,
}
