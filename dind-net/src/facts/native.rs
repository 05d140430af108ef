//! What an engine needs that writes its rules to nf_tables itself, from version 29 on.
//!
//! It runs the program `nft`; it finds forwarding switched on or does not start (moby, `checkIPv4Forwarding`); a node of a swarm
//! does not start with it at all (moby, `IsSwarmCompatible`).

use crate::facts::ipv6::control;
use crate::firewall::content::Tables;
use crate::firewall::forwarding::IP_FORWARD;
use crate::netlink::nftables::check;
use crate::options::Options;
use crate::values::FirewallBackend;
use dind_system::Root;
use dind_system::helper::HELPER_PATH;
use nix::unistd::{AccessFlags, access};
use std::path::Path;

/// The first engine with such a backend (moby 29.0, "--firewall-backend").
pub const ENGINE_WITH_BACKEND: u32 = 29;

/// Below the data root: exists on a node of a swarm (moby, daemon/cluster/utils.go).
const SWARM: &str = "swarm/docker-state.json";
/// Tables of ip_tables that exist, one in each line.
const IP_TABLES: &str = "/proc/net/ip_tables_names";
/// The table that decides what is forwarded.
const FILTER: &str = "filter";

/// What there is of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Native {
    /// The program `nft` is installed.
    pub program: bool,
    /// Why nf_tables has not all that the engine's rules need; nothing where it has, or where nobody may ask.
    pub refused: Option<String>,
    /// The engine's record says that it is a node of a swarm.
    pub swarm: bool,
    /// ip_tables has a table that decides what is forwarded.
    pub legacy_filter: bool,
    /// IPv4 is not forwarded, and we may not change that.
    pub forward_stuck: bool,
    /// Controls of IPv6 forwarding that are off, and that we may change and can close again.
    pub forward6_off: Vec<String>,
}

impl Native {
    /// Reads it below `root`, where the engine may have such a backend.
    #[must_use]
    pub fn observe(root: &Root, options: &Options, tables: Tables) -> Self {
        let may = options.engine.is_some_and(|major| major >= ENGINE_WITH_BACKEND);
        if !may && options.firewall != Some(FirewallBackend::Nftables) {
            return Self::default();
        }
        let asked = root.is_host() && matches!(tables, Tables::Present | Tables::Empty);
        let off = |path: &str| root.read(path).is_ok_and(|text| text.trim() == "0");
        // The engine checks them for each network with IPv6, also one that only the user makes.
        let controls6 = ["default", "all"].map(|link| control(link, "forwarding"));
        let writable = |path: &str| access(&root.path(path), AccessFlags::W_OK).is_ok();
        let mut forward6_off: Vec<_> =
            controls6.into_iter().filter(|path| off(path) && writable(path)).collect();
        if asked && !forward6_off.is_empty() && check::ipv6_nat().is_err() {
            forward6_off.clear();
        }
        let legacy = root.read(IP_TABLES).unwrap_or_default();
        Self {
            program: HELPER_PATH.split(':').any(|path| root.exists(Path::new(path).join("nft"))),
            refused: if asked { check::engine_rules().err().map(|error| error.to_string()) } else { None },
            swarm: root.exists(options.data_root.join(SWARM)),
            legacy_filter: legacy.lines().any(|table| table == FILTER),
            forward_stuck: off(IP_FORWARD) && !writable(IP_FORWARD),
            forward6_off,
        }
    }
}
