//! Bridged nodes.

use crate::{Outer, node_on};
use dind_tests::outer::{Network, docker};

/// concourse/concourse#2155
#[test]
fn a_bridged_node_has_room_for_more_than_thirty_networks() {
    let network = Network::new("10.215.0.0/16", "10.215.0.0/24", &[]);
    let node = node_on(&network, &["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"]);
    node.until_running();
    for n in 0..35 {
        node.inner(&["network", "create", &format!("own{n}")]);
    }
    let asked = ["--env", "DOCKER_NETWORK_OFFSET=0.0.2.0", "--env", "DIND_NET_POOL=10.90.0.0/16"];
    let node = node_on(&network, &asked);
    node.until_running();
    node.inner(&["network", "create", "own"]);
    let subnet = node.inner(&["network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", "own"]);
    assert_eq!(subnet, "10.90.0.0/24");
}

#[test]
fn a_range_in_use_ends_a_node_before_its_main_process_and_gives_everything_back() {
    let network = Network::new("10.216.0.0/16", "10.216.0.0/24", &[]);
    let owner = Outer::start(&["--network", &network.name, "--ip", "10.216.1.200"], "exec sleep 1000");
    let options = ["--privileged", "--network", &network.name, "--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"];
    let main = ["sh", "-c", "echo the main process runs"];
    let node = dind_tests::outer::Node::of_image(&dind_tests::outer::image(), &options, &main);
    assert_eq!(node.exit_status(), 125);
    let (log, record) = (node.log(), node.last_record());
    assert!(log.contains("10.216.1.200 is in use by"), "{log}");
    assert!(!log.contains("the main process runs"), "{log}");
    assert_eq!(record["error"]["causes"][0], "range-in-use", "{record}");
    let released = record["documents"]["release-net"]["steps"].to_string();
    assert!(released.contains("remove-bridge"), "{released}");
    drop(owner);
    // The same container, once the address is free.
    docker(&["start", &node.name]).ok();
    assert_eq!(node.exit_status(), 0);
    assert!(node.log().contains("the main process runs"));
}

#[test]
fn published_ports_that_would_not_answer_are_warned_of() {
    let network = Network::new("10.217.0.0/16", "10.217.0.0/24", &[]);
    let off =
        ["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0", "--env", "DOCKER_DAEMON_ARGS=--userland-proxy=false"];
    let node = node_on(&network, &off);
    node.until_running();
    let seen = node.exec(&["cat", "/proc/sys/net/bridge/bridge-nf-call-iptables"]).stdout == "1";
    let warned = node.record()["warnings"].to_string().contains("published-ports-unanswered");
    assert_ne!(seen, warned);
}
