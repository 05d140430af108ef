//! An outer network with IPv6: inner containers have it too, in both modes, and the node keeps its own.

use crate::settings::daemon_json;
use crate::{Outer, node_on};
use dind_tests::outer::{LIMIT, Network, Node, docker, image, inner_image};
use dind_tests::{eventually, seconds};
use serde_json::Value;

/// The address of IPv6 that the outer engine gave a container.
fn address6_of(container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}";
    docker(&["inspect", "--format", format, container]).ok()
}

/// The document of dind-net's apply.
fn report(node: &Node) -> Value {
    node.record()["documents"]["net"]["result"].clone()
}

/// A bridge that has just been made detects duplicates of its own address first: the gateway answers a second later.
fn reaches(node: &Node, container: &str, address: &str) {
    let ping = ["exec", container, "ping", "-c", "1", "-W", &seconds(1), address];
    eventually(&format!("{container} reaches {address}"), LIMIT, || {
        (node.inner_docker(&ping).status == 0).then_some(())
    });
}

#[test]
fn inner_containers_reach_an_outer_one_by_ipv6_on_the_default_and_on_user_networks() {
    let network = Network::new("10.237.0.0/24", "10.237.0.0/25", &["--ipv6", "--subnet", "fd37::/64"]);
    let outer = Outer::start(&["--network", &network.name], "exec sleep 1000");
    let target = address6_of(&outer.name);
    let node = node_on(&network, &[]);
    node.until_running();
    node.inner(&["network", "create", "--ipv6", "own"]);
    let mut subnets = Vec::new();
    for name in ["bridge", "own"] {
        let id = node.inner_run(&["--network", name], "exec sleep 1000");
        reaches(&node, &id, &target);
        let format = "{{range .IPAM.Config}}{{.Subnet}} {{end}}";
        subnets.push(node.inner(&["network", "inspect", "--format", format, name]));
    }
    let pool = report(&node)["ipv6"]["pool"].as_str().unwrap().to_owned();
    let prefix = pool.split(":1::").next().unwrap();
    assert!(subnets.iter().all(|subnets| subnets.contains(prefix)), "{subnets:?} are not of {pool}");

    // The networks are the node's for good, and no other node's.
    docker(&["restart", "--time", "10", &node.name]).ok();
    node.until_running();
    assert_eq!(report(&node)["ipv6"]["pool"], pool.as_str());
    let other = node_on(&network, &[]);
    other.until_running();
    assert_ne!(report(&other)["ipv6"]["pool"], pool.as_str());
}

#[test]
fn an_outer_container_reaches_inner_ones_of_a_bridged_node_by_ipv6() {
    let network = Network::new("10.238.0.0/16", "10.238.0.0/24", &["--ipv6", "--subnet", "fd38::/64"]);
    let outer = Outer::start(&["--network", &network.name], "exec sleep 1000");
    let nodes = ["0.0.1.0", "0.0.2.0"].map(|offset| {
        let offset = format!("DOCKER_NETWORK_OFFSET={offset}");
        let node = node_on(&network, &["--env", &offset]);
        node.until_running();
        node
    });
    let inner = nodes.each_ref().map(|node| {
        let id = node.inner_run(&[], "exec sleep 1000");
        let address = node.inner(&["inspect", "--format", "{{.NetworkSettings.GlobalIPv6Address}}", &id]);
        let range = report(node)["ipv6"]["range"].as_str().unwrap().to_owned();
        let (start, _) = range.split_once("00/120").unwrap();
        assert!(address.starts_with(start), "{address} is not in {range}");
        (id, address)
    });
    for (node, (id, address)) in nodes.iter().zip(&inner) {
        // The node's own address, which the engine would take from the bridge, is still there.
        let own = address6_of(&node.name);
        for target in [address, &own] {
            eventually(&format!("the outer container reaches {target}"), LIMIT, || {
                let ping = ["exec", &outer.name, "ping", "-c", "1", "-W", &seconds(1), target];
                (docker(&ping).status == 0).then_some(())
            });
        }
        reaches(node, id, &address6_of(&outer.name));
        reaches(node, id, "fd38::1");
    }
    reaches(&nodes[0], &inner[0].0, &inner[1].1);
}

#[test]
fn a_node_with_ipv6_switched_off_starts_on_a_network_that_has_it() {
    let network = Network::new("10.239.0.0/16", "10.239.0.0/24", &["--ipv6", "--subnet", "fd39::/64"]);
    for offset in ["", "0.0.1.0"] {
        let offset = format!("DOCKER_NETWORK_OFFSET={offset}");
        let node = node_on(&network, &["--env", &offset, "--env", "DIND_NET_IPV6=false"]);
        node.until_running();
        assert_eq!(report(&node)["ipv6"]["reason"], "disabled");
        let inner = node.inner(&["run", "--rm", &inner_image(), "ip", "-6", "route"]);
        assert_eq!(inner, "", "an inner container has IPv6");
    }
}

#[test]
fn ipv6_that_is_asked_for_and_cannot_be_is_refused_by_name() {
    let network = Network::new("10.240.0.0/24", "10.240.0.0/25", &[]);
    let node = node_on(&network, &["--env", "DIND_NET_IPV6=true"]);
    assert_eq!(node.exit_status(), 125);
    assert!(node.log().contains("cannot use IPv6: no link has an IPv6 default route"), "{}", node.log());
}

/// docker/for-linux#648, moby/moby#20559
#[test]
fn ipv6_of_the_user_s_own_without_rules_is_warned_of_where_it_leads_nowhere() {
    let network = Network::new("10.228.0.0/24", "10.228.0.0/25", &["--ipv6", "--subnet", "fd3a::/64"]);
    let outer = Outer::start(&["--network", &network.name], "exec sleep 1000");
    let (_file, volume) = daemon_json(r#"{"ipv6": true, "fixed-cidr-v6": "2001:db8:1::/64"}"#);
    let node = node_on(&network, &["--volume", &volume]);
    node.until_running();
    let warned = node.record()["warnings"].to_string().contains("inner-containers-cut-off");
    let id = node.inner_run(&[], "exec sleep 1000");
    if warned {
        let ping = ["exec", &id, "ping", "-c", "1", "-W", &seconds(3), &address6_of(&outer.name)];
        assert_ne!(node.inner_docker(&ping).status, 0, "{}", node.log());
    } else {
        reaches(&node, &id, &address6_of(&outer.name));
    }
}

/// moby/moby#40275: an engine before 27 lists all networks of a pool.
#[test]
fn a_pool_of_ipv6_that_is_too_much_for_the_engine_is_refused_by_name() {
    let text = r#"{"default-address-pools": [{"base": "10.9.0.0/16", "size": 24}, {"base": "fd00:dead:beef::/48", "size": 96}]}"#;
    let (_file, volume) = daemon_json(text);
    let node = Node::start(&["--volume", &volume], dind_tests::outer::SLEEP);
    let version = docker(&["run", "--rm", "--entrypoint", "dockerd", &image(), "--version"]).ok();
    if version.starts_with("Docker version 2")
        && !["27", "28", "29"].iter().any(|new| version[15..].starts_with(new))
    {
        assert_eq!(node.exit_status(), 125);
        let expected =
            "cannot use the address pool `fd00:dead:beef::/48`: an engine before 27 lists all 2^48 networks";
        assert!(node.log().contains(expected), "{}", node.log());
    } else {
        node.until_running();
    }
}

/// kind and others make such networks wherever they are.
#[test]
fn a_user_network_with_ipv6_works_where_the_outer_network_has_none() {
    let node = Node::start(&[], dind_tests::outer::SLEEP);
    node.until_running();
    node.inner(&["network", "create", "--ipv6", "--subnet", "fdb6:a::/64", "six"]);
    node.inner_run(&["--network", "six", "--name", "server", "--ip6", "fdb6:a::7"], "exec sleep 1000");
    let client = node.inner_run(&["--network", "six"], "exec sleep 1000");
    reaches(&node, &client, "fdb6:a::7");
}
