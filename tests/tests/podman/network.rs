//! Nodes on networks of podman's: names, ports, and the addresses that netavark gives away.

use crate::{network, node};
use dind_tests::outer::{LIMIT, Network, Node, Outer, Podman, inner_image, on_host, ping_from_host};
use dind_tests::outside::{self, Outside};
use dind_tests::{eventually, unique};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A container of podman's that is no node; gone with its handle.
struct Plain {
    podman: Arc<Podman>,
    name: String,
}

impl Plain {
    fn start(podman: &Arc<Podman>, network: &Network, script: &str) -> Self {
        let plain = Self { podman: Arc::clone(podman), name: unique("plain") };
        let run = ["run", "--detach", "--name", &plain.name, "--network", &network.name];
        podman.client(&[&run[..], &[&podman.image(&inner_image()), "sh", "-c", script]].concat()).ok();
        plain
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.podman.client(&["rm", "--force", &self.name]);
    }
}

fn address(podman: &Podman, container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    podman.client(&["inspect", "--format", format, container]).ok()
}

/// Runs a script in an inner container to its end.
fn inner_on(node: &Node, network: &str, script: &str) -> String {
    node.inner(&["run", "--rm", "--network", network, &inner_image(), "sh", "-c", script])
}

/// An inner container on a network finds the address of a name. A name server on a busy machine may miss the first question.
fn resolves(node: &Node, network: &str, name: &str, address: &str) {
    let run = ["run", "--rm", "--network", network, &inner_image(), "nslookup", name];
    eventually(&format!("{network}: {name} resolves"), LIMIT, || {
        let answer = node.inner_docker(&run);
        (answer.status == 0).then(|| assert!(answer.stdout.contains(address), "{network}: {answer:?}"))
    });
}

/// The name server of podman's networks is aardvark-dns at the gateway, which every container reaches by itself. With `--dns`, podman's
/// containers have that one in its place.
#[test]
fn names_of_podman_s_network_and_the_outside_resolve_in_inner_containers() {
    let podman = Podman::with("runc");
    let network = network(&podman, "10.218", "1500");
    let web = Plain::start(&podman, &network, "echo from outside > /index.html; exec httpd -f -p 80");
    // On a network of Docker's, because aardvark-dns has the port on podman's.
    let _other = Network::new("10.219.0.0/16", "10.219.0.0/24", &[]);
    let _outside = Outside::at("10.219.0.1");
    for mode in ["", "auto"] {
        let offset = format!("DOCKER_NETWORK_OFFSET={mode}");
        let node = node(&podman, &network, &["--env", &offset]);
        let other = self::node(&podman, &network, &["--env", &offset, "--dns", "10.219.0.1"]);
        for node in [&node, &other] {
            node.until_running();
            node.inner(&["network", "create", "own"]);
        }
        for inner in ["bridge", "own"] {
            resolves(&node, inner, &web.name, &address(&podman, &web.name));
            let page = format!("wget -q -O - http://{}/", web.name);
            assert_eq!(inner_on(&node, inner, &page), "from outside", "`{mode}` {inner}");
            resolves(&other, inner, outside::NAME, outside::ADDRESS);
        }
    }
}

#[test]
fn ports_of_inner_containers_and_of_the_node_are_published() {
    let podman = Podman::with("runc");
    let network = network(&podman, "10.220", "1500");
    for mode in ["", "0.0.1.0"] {
        let offset = format!("DOCKER_NETWORK_OFFSET={mode}");
        let node = node(&podman, &network, &["--publish", "18080:8080", "--env", &offset]);
        node.until_running();
        node.inner_run(&["--publish", "8080:80"], "echo page > /index.html; exec httpd -f -p 80");
        // By the node's address, and by the host's, where podman has published the node's port.
        for url in [format!("{}:8080", address(&podman, &node.name)), "10.220.0.1:18080".to_owned()] {
            eventually(&format!("`{mode}` {url} answers"), LIMIT, || {
                let page = on_host(&["busybox", "wget", "-q", "-O", "-", &format!("http://{url}/")]);
                (page.stdout == "page").then_some(())
            });
        }
    }
}

/// On a network without a range of its own for containers: netavark gives away the address after its last one. On a network with one,
/// it never leaves that.
#[test]
fn what_netavark_gives_away_next_is_not_in_a_bridged_node_s_range() {
    let podman = Podman::with("runc");
    let whole = Network::on(podman.clone(), "10.221.0.0/16", "10.221.0.0/16", "1500");
    let node = node(&podman, &whole, &["--env", "DOCKER_NETWORK_OFFSET=auto"]);
    node.until_running();
    let range: Ipv4Net =
        node.record()["documents"]["net"]["result"]["range"].as_str().unwrap().parse().unwrap();
    let inner = node.inner_run(&[], "sleep infinity");
    let own = node.inner(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &inner]);
    assert!(range.contains(&own.parse::<Ipv4Addr>().unwrap()), "{own} {range}");
    let others: Vec<_> = (0..5).map(|_| Plain::start(&podman, &whole, "sleep infinity")).collect();
    for other in &others {
        let given = address(&podman, &other.name);
        assert!(!range.contains(&given.parse::<Ipv4Addr>().unwrap()), "{given} {range}");
        let reached = podman.client(&["exec", &other.name, "ping", "-c", "1", "-W", "5", &own]);
        assert_eq!(reached.status, 0, "{given} to {own}: {reached:?}");
    }
    assert_eq!(ping_from_host(&own).status, 0);
}

/// The default bridge and the networks of users in the node are none that netavark would give away to podman's next networks.
#[test]
fn networks_of_podman_s_that_come_later_do_not_collide_with_those_in_the_node() {
    let podman = Podman::with("runc");
    let network = network(&podman, "10.222", "1500");
    let node = node(&podman, &network, &[]);
    node.until_running();
    node.inner(&["network", "create", "own"]);
    let later: Vec<_> = (0..3).map(|_| unique("later")).collect();
    for name in &later {
        podman.client(&["network", "create", name]).ok();
    }
    let later: Vec<_> = later.into_iter().map(|name| Network::named(podman.clone(), name)).collect();
    let web = Plain::start(&podman, &later[2], "echo later > /index.html; exec httpd -f -p 80");
    podman.client(&["network", "connect", &later[2].name, &node.name]).ok();
    let url = format!("http://{}/", address(&podman, &web.name));
    for inner in ["bridge", "own"] {
        assert_eq!(inner_on(&node, inner, &format!("wget -q -O - {url}")), "later", "{inner}");
    }
    drop((web, node));
}
