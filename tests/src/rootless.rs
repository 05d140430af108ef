//! Nodes that make their own user namespace: `docker exec` alone stays outside of them.

use crate::outer::{Ended, Node, docker};

/// How a command gets into such a node, before its own words.
pub const ENTER: [&str; 3] = ["dind-launch", "enter", "--"];

/// Runs a shell script in the node.
#[must_use]
pub fn enter(node: &Node, script: &str) -> Ended {
    docker(&[&["exec", &node.name], &ENTER[..], &["sh", "-c", script]].concat())
}
