//! Subnets that stay out of everybody's way, also later.

use crate::{net_warnings, node_on};
use dind_tests::outer::{Network, Node, SLEEP, Volume, docker, image};
use serde_json::Value;

/// moby/moby#46098: what the data root's record holds is taken, wherever the container is now.
#[test]
fn a_data_root_with_a_user_network_is_used_again_on_another_outer_network() {
    let volume = Volume::new();
    let mount = format!("{}:/var/lib/docker", volume.name);
    // Where the second node would have its bridge.
    let plan = docker(&["run", "--rm", "--privileged", "--entrypoint", "dind-net", &image(), "plan"]).ok();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let taken = plan["result"]["subnet"].as_str().unwrap();
    let subnet = taken.replace(".0.0/16", ".5.0/24");
    let network = Network::new("10.213.0.0/16", "10.213.0.0/24", &[]);
    let first = node_on(&network, &["--volume", &mount]);
    first.until_running();
    first.inner(&["network", "create", "--subnet", &subnet, "kept"]);
    assert_eq!(first.stop().0, 143);
    drop(first);
    let second = Node::start(&["--volume", &mount], SLEEP);
    second.until_running();
    assert!(second.inner(&["network", "ls"]).contains("kept"));
    let record = second.record();
    assert_ne!(record["documents"]["net"]["result"]["subnet"], taken);
    assert_eq!(net_warnings(&record), []);
}

/// The other direction: the outer network is where an inner one was.
#[test]
fn a_user_network_that_collides_with_the_outer_network_is_named() {
    let volume = Volume::new();
    let mount = format!("{}:/var/lib/docker", volume.name);
    let network = Network::new("10.214.0.0/16", "10.214.0.0/24", &[]);
    let first = node_on(&network, &["--volume", &mount]);
    first.until_running();
    first.inner(&["network", "create", "--subnet", "10.235.7.0/24", "kept"]);
    assert_eq!(first.stop().0, 143);
    drop(first);
    let network = Network::new("10.235.0.0/16", "10.235.0.0/24", &[]);
    let second = node_on(&network, &["--volume", &mount]);
    second.until_running();
    let warnings = net_warnings(&second.record());
    let named = |(code, message): &(String, String)| {
        code == "network-collides" && message.contains("`kept`") && message.contains("10.235.7.0/24")
    };
    assert!(warnings.iter().any(named), "{warnings:?}");
}

/// coast-guard/coasts#232: a stock engine, whose default bridge has 172.17.0.0/16, gives this subnet away next.
#[test]
fn a_running_node_is_connected_to_one_more_network_of_a_stock_engine() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let name = dind_tests::unique("more");
    let bridge = format!("com.docker.network.bridge.name={}", dind_tests::unique_link());
    docker(&["network", "create", "--subnet", "172.18.0.0/16", "--opt", &bridge, &name]).ok();
    let connected = docker(&["network", "connect", &name, &node.name]);
    let _ = docker(&["network", "disconnect", "--force", &name, &node.name]);
    let _ = docker(&["network", "rm", &name]);
    assert_eq!(connected.status, 0, "{}", connected.stderr);
}
