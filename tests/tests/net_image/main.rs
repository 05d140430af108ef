//! Inner containers on the network, for real: addresses, names, ports, large transfers, and not one lost packet.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod comes_back;
mod forwarding;
mod names;
mod packets;
mod reach;

use dind_tests::outer::{Network, Node, SLEEP, docker, inner_image};
use dind_tests::unique;

/// An outer container that is no node; gone with its handle.
struct Outer {
    name: String,
}

impl Outer {
    fn start(network: &Network, script: &str) -> Self {
        let name = unique("outer");
        let run = ["run", "--detach", "--name", &name, "--network", &network.name];
        docker(&[&run[..], &[&inner_image(), "sh", "-c", script]].concat()).ok();
        Self { name }
    }

    fn exec(&self, args: &[&str]) -> String {
        docker(&[&["exec", &self.name], args].concat()).ok()
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.name]);
    }
}

fn node_on(network: &Network, options: &[&str]) -> Node {
    Node::start(&[&["--network", &network.name], options].concat(), SLEEP)
}

/// Runs a script in an inner container to its end.
fn inner_on(node: &Node, network: &str, script: &str) -> String {
    node.inner(&["run", "--rm", "--network", network, &inner_image(), "sh", "-c", script])
}
