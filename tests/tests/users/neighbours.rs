//! Who else lives in the network namespace.

use crate::Outer;
use dind_tests::outer::{Node, SLEEP, docker, inner_image};

const WITHOUT_BRIDGE: [&str; 2] = ["--env", "DIND_NET_BRIDGE=none"];

/// A pod: a container whose network others join.
fn in_network_of(name: &str, options: &[&str]) -> Node {
    Node::start(&[&["--network", &format!("container:{name}")], options].concat(), SLEEP)
}

/// microsoft/vscode-remote-release#7605, and GitLab's executor for Kubernetes.
#[test]
fn a_second_node_in_a_network_namespace_is_refused_and_the_first_is_unharmed() {
    let pod = Outer::start(&["--hostname", "the-pod"], "exec sleep 1000");
    let first = in_network_of(&pod.name, &[]);
    first.until_running();
    let second = in_network_of(&pod.name, &[]);
    assert_eq!(second.exit_status(), 125);
    let log = second.log();
    assert!(log.contains("another node runs in it: host name the-pod, pid 1 there"), "{log}");
    assert_eq!(second.last_record()["error"]["code"], "network-in-use");
    assert_eq!(first.inner(&["run", "--rm", &inner_image(), "echo", "unharmed"]), "unharmed");
    // A dockerd without a bridge would remove the first one's docker0.
    let third = in_network_of(&pod.name, &WITHOUT_BRIDGE);
    assert_eq!(third.exit_status(), 125);
    assert!(third.log().contains("a dockerd without a bridge removes"), "{}", third.log());
    assert_eq!(first.inner(&["run", "--rm", &inner_image(), "echo", "unharmed"]), "unharmed");
}

#[test]
fn nodes_without_a_bridge_live_beside_each_other() {
    let pod = Outer::start(&[], "exec sleep 1000");
    let nodes = [(); 2].map(|()| in_network_of(&pod.name, &WITHOUT_BRIDGE));
    for node in &nodes {
        node.until_running();
        let run = ["run", "--rm", "--network", "host", &inner_image(), "echo", "separate"];
        assert_eq!(node.inner(&run), "separate");
    }
    assert_eq!(nodes[0].stop().0, 143, "{}", nodes[0].log());
    assert_eq!(nodes[1].inner(&["run", "--rm", "--network", "host", &inner_image(), "echo", "left"]), "left");
}

#[test]
fn what_a_killed_node_has_left_in_a_namespace_that_lives_on_does_not_count() {
    let pod = Outer::start(&[], "exec sleep 1000");
    let first = in_network_of(&pod.name, &[]);
    first.until_running();
    docker(&["kill", &first.name]).ok();
    assert_eq!(first.exit_status(), 137);
    let second = in_network_of(&pod.name, &[]);
    second.until_running();
    assert_eq!(second.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
}

#[test]
fn a_node_in_the_network_namespace_of_another_engine_is_refused() {
    let node = Node::start(&["--network", "host"], SLEEP);
    assert_eq!(node.exit_status(), 125);
    let log = node.log();
    assert!(log.contains("/libnetwork/") && log.contains("lives in this network namespace"), "{log}");
    let causes = node.last_record()["error"]["causes"].to_string();
    assert!(causes.contains("network-in-use"), "{causes}");
}
