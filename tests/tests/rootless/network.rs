//! The way out and in, which is pasta's.

use super::node;
use dind_tests::outer::{LIMIT, Network, Node, address_of, docker, inner_image, on_host};
use dind_tests::rootless::enter;
use dind_tests::{eventually, unique};

/// A container beside the node, which serves a page; removed with its handle.
struct Server(String);

impl Server {
    fn on(network: &Network) -> Self {
        let name = unique("server");
        let page = "mkdir /w; echo outside >/w/index.html; exec httpd -f -p 80 -h /w";
        let how = ["run", "--detach", "--network", &network.name, "--name", &name];
        docker(&[&how[..], &[&inner_image(), "sh", "-c", page]].concat()).ok();
        Self(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.0]);
    }
}

/// By address; and by name, with a pasta of 2024 and newer: the engine's name server listens on the container's loopback, where the node
/// is not.
#[test]
fn inner_containers_reach_the_outer_network() {
    let network = Network::new("10.243.0.0/24", "10.243.0.0/24", &[]);
    let server = Server::on(&network);
    let node = node(&["--network", &network.name]);
    let image = inner_image();
    let get = |host: &str| {
        let url = format!("http://{host}/");
        node.inner_docker(&["run", "--rm", &image, "timeout", "9", "wget", "-q", "-O", "-", &url]).stdout
            == "outside"
    };
    let address = address_of(&server.0);
    eventually("the page comes", LIMIT, || get(&address).then_some(()));
    if is_newer(&node) {
        eventually("the page comes by name", LIMIT, || get(&server.0).then_some(()));
    } else {
        assert!(!get(&server.0), "an older pasta can do it: the README says otherwise");
        assert!(node.log().contains("older than 2024"), "{}", node.log());
    }
}

/// Whether the image's pasta knows the option that we ask for.
fn is_newer(node: &Node) -> bool {
    node.exec(&["sh", "-c", "pasta --help 2>&1 | grep -q -- --dns-host"]).status == 0
}

/// Those of UDP with a pasta of 2024 and newer, which knows the option that we ask for: older ones look for such ports once, at their
/// start (the README says so).
#[test]
fn published_ports_are_those_of_the_container() {
    let node = node(&[]);
    let address = address_of(&node.name);
    let serve = "nc -u -l -p 9 -e cat & mkdir /w; echo in >/w/index.html; exec httpd -f -p 80 -h /w";
    node.inner_run(&["--publish", "9000:9/udp", "--publish", "81:80"], serve);
    let url = format!("http://{address}:81/");
    eventually("the page comes", LIMIT, || {
        (on_host(&["busybox", "wget", "-q", "-O", "-", &url]).stdout == "in").then_some(())
    });
    let ask = format!("echo echo | busybox nc -u -w 1 {address} 9000");
    let echo = || on_host(&["sh", "-c", &ask]).stdout == "echo";
    if is_newer(&node) {
        eventually("the echo comes", LIMIT, || echo().then_some(()));
    } else {
        assert!(!echo(), "an older pasta can do it: the README says otherwise");
    }
}

/// The node's link has the container's address; and the way out comes back.
#[test]
fn a_pasta_that_dies_is_started_again() {
    let node = node(&[]);
    let address = address_of(&node.name);
    let has_link = || enter(&node, "cat /proc/net/fib_trie").stdout.contains(&address);
    assert!(has_link());
    // It lies outside of the node, so that its number is the container's.
    let kill = "for p in /proc/[0-9]*; do read -r n <$p/comm && case $n in pasta*|passt*) kill -9 ${p#/proc/}; esac; done 2>/dev/null; true";
    node.exec(&["sh", "-c", kill]).ok();
    eventually("pasta has been missed", LIMIT, || node.log().contains("pasta has ended").then_some(()));
    eventually("the link is there again", LIMIT, || has_link().then_some(()));
    // Once more, soon after: not every early end is the last one.
    node.exec(&["sh", "-c", kill]).ok();
    eventually("it has been missed again", LIMIT, || {
        (node.log().matches("pasta has ended").count() == 2).then_some(())
    });
    eventually("the link is there once more", LIMIT, || has_link().then_some(()));
}
