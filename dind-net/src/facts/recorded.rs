//! The user-defined networks in the engine's own record. dockerd makes them again when it starts, wherever the container is now.

use dind_system::{Root, docker_networks};
use ipnet::{Ipv4Net, Ipv6Net};
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// A subnet of a user-defined network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The network's name.
    pub network: String,
    /// Whether it is a bridge of its own. Others, such as macvlan, are meant to be in a subnet of the outside.
    pub is_bridge: bool,
    /// The subnet.
    pub subnet: Ipv4Net,
}

/// Reads those of IPv4. None where there is no record, or one that is not understood: then dockerd has the last word.
#[must_use]
pub fn observe(root: &Root, data_root: &Path) -> Vec<Recorded> {
    let subnets = subnets(root, data_root);
    subnets.map(|(network, is_bridge, subnet)| Recorded { network, is_bridge, subnet }).collect()
}

/// Whether the record holds the engine's default bridge. One that is not understood may.
#[must_use]
pub fn holds_default(root: &Root, data_root: &Path) -> bool {
    let Ok(file) = fs::read(root.path(data_root.join(docker_networks::FILE))) else { return false };
    docker_networks::read(&file)
        .is_none_or(|networks| networks.iter().any(|network| network.name == "bridge"))
}

/// Reads those of IPv6.
#[must_use]
pub fn observe6(root: &Root, data_root: &Path) -> Vec<Ipv6Net> {
    subnets(root, data_root).map(|(.., subnet)| subnet).collect()
}

/// The subnets of user-defined networks that are of one family, each with the network's name and whether it is a bridge.
fn subnets<T: FromStr>(root: &Root, data_root: &Path) -> impl Iterator<Item = (String, bool, T)> {
    let file = fs::read(root.path(data_root.join(docker_networks::FILE))).unwrap_or_default();
    let networks = docker_networks::read(&file).unwrap_or_default();
    let users = networks.into_iter().filter(docker_networks::Network::is_user_defined);
    users.flat_map(|network| {
        let parsed = network.subnets.iter().filter_map(|text| text.parse().ok()).collect::<Vec<T>>();
        let is_bridge = network.driver == "bridge";
        parsed.into_iter().map(move |subnet| (network.name.clone(), is_bridge, subnet))
    })
}
