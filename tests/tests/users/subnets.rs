//! Subnets that stay out of everybody's way, also later.

use crate::settings::daemon_json;
use crate::{Outer, net_warnings, node_on};
use dind_tests::outer::{LIMIT, Network, Node, SLEEP, Volume, docker, image, inner_image};
use dind_tests::{eventually, seconds};
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

fn subnet_of(node: &Node, network: &str) -> String {
    node.inner(&["network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", network])
}

/// actions/actions-runner-controller#1971, moby/libnetwork#2638
#[test]
fn pools_of_the_user_that_are_all_taken_are_refused_by_name() {
    let network = Network::new("10.226.0.0/16", "10.226.0.0/24", &[]);
    let (_file, volume) =
        daemon_json(r#"{"default-address-pools": [{"base": "10.226.0.0/16", "size": 24}]}"#);
    let pool = "DOCKER_DAEMON_ARGS=--default-address-pool base=10.226.0.0/16,size=24";
    for options in [["--volume", volume.as_str()], ["--env", pool]] {
        let node = node_on(&network, &options);
        assert_eq!(node.exit_status(), 125, "{options:?}");
        let log = node.log();
        let expected = "cannot use the address pools `10.226.0.0/16`: all of it overlaps 10.226.0.0/16, the subnet of eth0";
        assert!(log.contains(expected) && log.contains("pool-overlaps"), "{log}");
    }
}

/// actions/actions-runner-controller#1652: the bridge is where the user's pools are, as in any engine.
#[test]
fn pools_of_the_user_are_the_node_s_own_where_a_network_is_free_in_them() {
    let network = Network::new("10.230.0.0/16", "10.230.0.0/24", &[]);
    let text = r#"{"default-address-pools": [{"base": "10.230.0.0/15", "size": 24}]}"#;
    let (_file, volume) = daemon_json(text);
    let node = node_on(&network, &["--volume", &volume]);
    node.until_running();
    node.inner(&["network", "create", "own"]);
    let subnets = ["bridge", "own"].map(|name| subnet_of(&node, name));
    assert_eq!(subnets, ["10.231.0.0/24", "10.231.1.0/24"]);
    let record = node.record();
    let warnings = record["warnings"].as_array().unwrap().iter();
    // The disk is the machine's.
    let warnings: Vec<_> = warnings.filter(|warning| warning["code"] != "space-low").collect();
    assert_eq!((net_warnings(&record), warnings), (vec![], vec![]));
}

/// docker/for-linux#599: a VPN routes all private networks.
#[test]
fn a_pool_behind_a_gateway_is_used_where_the_user_insists() {
    let network = Network::new("10.227.0.0/16", "10.227.0.0/24", &[]);
    // The node is in the network namespace of a pod that has the routes.
    let script = "for to in 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16; do ip route add $to via 10.227.0.1; done; exec sleep 1000";
    let pod = Outer::start(&["--network", &network.name, "--cap-add", "NET_ADMIN"], script);
    eventually("the routes are there", LIMIT, || {
        docker(&["exec", &pod.name, "ip", "route"]).stdout.contains("192.168.0.0/16").then_some(())
    });
    let start = |pool: &str| {
        let (of_pod, pool) = (format!("container:{}", pod.name), format!("DIND_NET_POOL={pool}"));
        Node::start(&["--network", &of_pod, "--env", &pool], SLEEP)
    };
    let node = start("10.201.0.0/16");
    node.until_running();
    node.inner(&["network", "create", "own"]);
    assert_eq!(["bridge", "own"].map(|name| subnet_of(&node, name)), ["10.201.0.0/17", "10.201.128.0/24"]);
    for name in ["bridge", "own"] {
        let ping = [
            "run",
            "--rm",
            "--network",
            name,
            &inner_image(),
            "ping",
            "-c",
            "1",
            "-W",
            &seconds(2),
            "10.227.0.1",
        ];
        node.inner(&ping);
    }
    let warnings = net_warnings(&node.record());
    let named = |(code, message): &(String, String)| {
        code == "pool-routed" && message.contains("10.201.0.0/16 overlaps 10.0.0.0/8, a route over eth0")
    };
    assert!(warnings.iter().any(named), "{warnings:?}");
    drop(node);
    let own = start("10.227.0.0/16");
    assert_eq!(own.exit_status(), 125);
    assert!(own.log().contains("cannot use `10.227.0.0/16`: it overlaps"), "{}", own.log());
}
