//! A bridged node whose engine starts again, with networks of its own in its record: dockerd deletes a default bridge that it finds there,
//! and the uplink is in it.

use crate::node_on;
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Network, Node, inner_image, ping_from_host};

/// Inner containers on both networks reach the outer one, and the host reaches the one that is on it.
fn is_connected(node: &Node, gateway: &str) {
    let format = "{{.NetworkSettings.IPAddress}}";
    let address = eventually("the inner container has an address", LIMIT, || {
        let shown = node.inner_docker(&["inspect", "--format", format, "bridged"]).stdout;
        (!shown.is_empty()).then_some(shown)
    });
    assert!(address.starts_with("10.229.1."), "{address}");
    assert_eq!(ping_from_host(&address).status, 0, "{address} {}", node.log());
    for inner in ["bridged", "own"] {
        let ping = ["exec", inner, "ping", "-q", "-c", "1", "-W", "5", gateway];
        assert_eq!(node.inner_docker(&ping).status, 0, "{inner} to {gateway}: {}", node.log());
    }
}

#[test]
fn a_bridged_node_keeps_its_network_when_its_engine_starts_again() {
    let network = Network::new("10.229.0.0/16", "10.229.0.0/24", &[]);
    let options = ["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0", "--env", "DIND_ENGINE_RESTART=on-failure:2"];
    for (pool, bridge) in [("DIND_NET_POOL=", "docker0"), ("DIND_NET_POOL=10.100.0.0/16", "dind0")] {
        let node = node_on(&network, &[&options[..], &["--env", pool]].concat());
        node.until_running();
        let report = &node.record()["documents"]["net"]["result"]["bridge"]["name"];
        assert_eq!(report, bridge);
        node.inner(&["network", "create", "own"]);
        for (name, network) in [("bridged", "bridge"), ("own", "own")] {
            let run = ["run", "--detach", "--restart", "always", "--name", name, "--network", network];
            node.inner(&[&run[..], &[&inner_image(), "sleep", "infinity"]].concat());
        }
        is_connected(&node, "10.229.0.1");

        node.exec(&["sh", "-c", "kill -KILL $(cat /run/docker.pid)"]).ok();
        eventually("the engine runs again", LIMIT, || {
            let record = node.record();
            (record["engine_restarts"] == 1 && record["state"] == "running").then_some(())
        });
        is_running(&node);
        is_connected(&node, "10.229.0.1");
        node.comes_back_after_a_restart_and_a_kill("own", || {
            is_running(&node);
            is_connected(&node, "10.229.0.1");
        });
    }
}

fn is_running(node: &Node) {
    for inner in ["bridged", "own"] {
        eventually("the inner container runs again", LIMIT, || {
            let state = node.inner_docker(&["inspect", "--format", "{{.State.Running}}", inner]);
            (state.stdout == "true").then_some(())
        });
    }
}
