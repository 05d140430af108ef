//! What people met who run Docker in Docker, one situation after the other.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bridged;
mod disk;
mod environment;
mod everyday;
mod image_content;
mod image_recipe;
mod ipv6;
mod names;
mod neighbours;
mod reload;
mod settings;
mod subnets;
mod surroundings;
mod two_nodes;

use dind_tests::outer::{Network, Node, docker, inner_image};
use dind_tests::unique;
use serde_json::Value;

/// An outer container, not a node; gone with its handle.
struct Outer {
    name: String,
}

impl Outer {
    fn start(options: &[&str], script: &str) -> Self {
        let outer = Self { name: unique("outer") };
        let run = ["run", "--detach", "--name", &outer.name];
        docker(&[&run[..], options, &[&inner_image(), "sh", "-c", script]].concat()).ok();
        outer
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.name]);
    }
}

fn node_on(network: &Network, options: &[&str]) -> Node {
    Node::start(&[&["--network", &network.name], options].concat(), dind_tests::outer::SLEEP)
}

/// The warnings of `dind-net apply` in a node's record, by code.
fn net_warnings(record: &Value) -> Vec<(String, String)> {
    let warnings = record["documents"]["net"]["warnings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    warnings.map(|warning| (text(&warning["code"]), text(&warning["message"]))).collect()
}
