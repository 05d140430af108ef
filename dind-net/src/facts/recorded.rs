//! The user-defined networks in the engine's own record. dockerd makes them again when it starts, wherever the container is now.

use dind_system::{Root, docker_networks};
use ipnet::Ipv4Net;
use std::fs;
use std::path::Path;

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

/// Reads them. None where there is no record, or one that is not understood: then dockerd has the last word.
#[must_use]
pub fn observe(root: &Root, data_root: &Path) -> Vec<Recorded> {
    let file = fs::read(root.path(data_root.join(docker_networks::FILE))).unwrap_or_default();
    let networks = docker_networks::read(&file).unwrap_or_default();
    let users = networks.into_iter().filter(docker_networks::Network::is_user_defined);
    let subnets = users.flat_map(|network| {
        let parsed = network.subnets.iter().filter_map(|text| text.parse().ok()).collect::<Vec<Ipv4Net>>();
        let is_bridge = network.driver == "bridge";
        parsed.into_iter().map(move |subnet| Recorded { network: network.name.clone(), is_bridge, subnet })
    });
    subnets.collect()
}
