//! Who reaches whom: nodes, inner containers, the outer host, a published port, large transfers.

use crate::{Outer, inner_on, node_on};
use dind_tests::outer::{LIMIT, Network, address_of, docker, on_host, ping_from_host};
use dind_tests::{eventually, seconds};

/// 8 MiB: many times what TCP sends before it hears of anything.
const LARGE: &str = "8388608";

#[test]
fn five_nodes_with_automatic_ranges_reach_each_other_s_inner_containers() {
    let network = Network::new("10.221.0.0/16", "10.221.0.0/24", &[]);
    let nodes: Vec<_> = (0..5).map(|_| node_on(&network, &["--env", "DOCKER_NETWORK_OFFSET=auto"])).collect();
    let mut inner = Vec::new();
    for node in &nodes {
        node.until_running();
        let id = node.inner_run(&[], "exec sleep 1000");
        let address = node.inner(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &id]);
        inner.push((node, id, address));
    }
    let ranges: std::collections::BTreeSet<_> =
        inner.iter().map(|(_, _, address)| address.rsplit_once('.').unwrap().0.to_owned()).collect();
    assert_eq!(ranges.len(), 5, "{ranges:?}");
    let mut all: Vec<_> = inner.iter().map(|(_, _, address)| address.clone()).collect();
    all.push("10.221.0.1".to_owned());
    assert!(all.iter().take(5).all(|address| ping_from_host(address).status == 0));
    let (all, limit) = (all.join(" "), seconds(5));
    let script = format!("for a in {all}; do ping -c 1 -W {limit} $a >/dev/null || echo $a; done");
    for (node, id, address) in &inner {
        assert_eq!(node.inner(&["exec", id, "sh", "-c", &script]), "", "not reached by {address}");
    }
}

#[test]
fn a_published_port_of_a_bridged_node_still_works() {
    let network = Network::new("10.222.0.0/16", "10.222.0.0/24", &[]);
    let node = node_on(&network, &["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0", "--publish", "8080"]);
    let client = Outer::start(&network, "exec sleep 1000");
    node.until_running();
    node.inner_run(&["--network", "host"], "echo from the node > /index.html; exec httpd -f -p 8080");
    let port = docker(&["port", &node.name, "8080/tcp"]).ok();
    let port = port.lines().next().unwrap().rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "10.222.0.1"] {
        let url = format!("http://{host}:{port}/");
        eventually("the port answers", LIMIT, || {
            let page =
                on_host(&["busybox", "timeout", &seconds(5), "busybox", "wget", "-q", "-O", "-", &url]);
            (page.status == 0).then(|| assert_eq!(page.stdout, "from the node"))
        });
    }
    let own = format!("http://{}:8080/", address_of(&node.name));
    assert_eq!(client.exec(&["timeout", &seconds(5), "wget", "-q", "-O", "-", &own]), "from the node");
}

#[test]
fn large_transfers_pass_an_outer_network_of_a_smaller_mtu() {
    let network =
        Network::new("10.224.0.0/16", "10.224.0.0/24", &["--opt", "com.docker.network.driver.mtu=1400"]);
    let script = format!("head -c {LARGE} /dev/urandom > /large; exec httpd -f -p 80");
    let web = Outer::start(&network, &script);
    let sum = eventually("the file is there", LIMIT, || {
        let listed = web.exec(&["sh", "-c", "wc -c < /large"]);
        (listed == LARGE).then(|| web.exec(&["sh", "-c", "md5sum < /large"]))
    });
    for mode in ["", "0.0.1.0"] {
        let offset = format!("DOCKER_NETWORK_OFFSET={mode}");
        let node = node_on(&network, &["--env", &offset]);
        node.until_running();
        assert_eq!(node.record()["documents"]["net"]["result"]["bridge"]["mtu"], 1400);
        node.inner(&["network", "create", "own"]);
        for inner in ["bridge", "own"] {
            let limit = seconds(10);
            let there = format!("timeout {limit} wget -q -O - http://{}/large | md5sum", web.name);
            assert_eq!(inner_on(&node, inner, &there), sum, "`{mode}` {inner}");
            web.exec(&["sh", "-c", "rm -f /back; sleep 1000 | nc -l -p 9000 > /back 2>/dev/null &"]);
            // nc ends with its input, whatever is still under way, on both sides.
            let back = format!("(head -c {LARGE} /dev/zero; exec sleep 1000) | nc {} 9000", web.name);
            node.inner_run(&["--network", inner], &back);
            eventually("all came back", LIMIT, || {
                (web.exec(&["sh", "-c", "wc -c < /back"]) == LARGE).then_some(())
            });
        }
    }
}
