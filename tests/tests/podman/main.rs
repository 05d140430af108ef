//! Nodes on engines of other makes whose clients take docker's words: podman with runc and with crun, and Docker with crun. The modules
//! with cells are rows of the support table.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod docker_crun;
mod flags;
mod life;
mod network;
mod podman_crun;
mod podman_runc;

use dind_tests::cell::SLOW;
use dind_tests::outer::{Network, Node, Outer, Podman, SLEEP, image};
use std::sync::Arc;

/// A volume of podman's on which everything works that works on one of Docker's: these have no setuid programs and no device nodes
/// otherwise (podman-run(1), `--volume`).
const DATA: &str = "/var/lib/docker:exec,suid,dev";

/// A node on podman, with a data root of its own.
fn node(podman: &Arc<Podman>, network: &Network, options: &[&str]) -> Node {
    let data = format!("{}:{DATA}", dind_tests::unique("data"));
    let own = ["--privileged", "--network", &network.name, "--volume", &data];
    let outer: Arc<dyn Outer> = podman.clone();
    Node::of_engine(outer, &image(), &[&SLOW[..], &own, options].concat(), SLEEP)
}

/// A network of podman's that gives out the first /24 of `prefix`.0.0/16.
fn network(podman: &Arc<Podman>, prefix: &str, mtu: &str) -> Network {
    Network::on(podman.clone(), &format!("{prefix}.0.0/16"), &format!("{prefix}.0.0/24"), mtu)
}
