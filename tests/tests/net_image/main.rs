//! Inner containers on the network, for real: addresses, names, ports, large transfers, and not one lost packet.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "net_image/outside.rs"]
mod outside;

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Network, Node, docker, image, inner_image, on_host, unique};
use outside::Outside;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

const SLEEP: &[&str] = &["sleep", "infinity"];
/// 8 MiB: many times what TCP sends before it hears of anything.
const LARGE: &str = "8388608";

/// An outer container that is no node; gone with its handle.
struct Outer {
    name: String,
}

impl Outer {
    fn start(network: &Network, script: &str) -> Self {
        let name = unique("outer");
        let run = ["run", "--detach", "--name", &name, "--network", &network.name];
        docker(&[&run[..], &[&inner_image(), "sh", "-c", script]].concat()).ok();
        Self { name }
    }

    fn exec(&self, args: &[&str]) -> String {
        docker(&[&["exec", &self.name], args].concat()).ok()
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.name]);
    }
}

/// The address that the outer engine gave a container.
fn address_of(name: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    docker(&["inspect", "--format", format, name]).ok()
}

fn node_on(network: &Network, options: &[&str]) -> Node {
    Node::start(&[&["--network", &network.name], options].concat(), SLEEP)
}

/// Runs a script in an inner container to its end.
fn inner_on(node: &Node, network: &str, script: &str) -> String {
    node.inner(&["run", "--rm", "--network", network, &inner_image(), "sh", "-c", script])
}

fn reaches_from_host(address: &str) -> bool {
    on_host(&["busybox", "ping", "-c", "1", "-W", "5", address]).status == 0
}

#[test]
fn five_nodes_without_numbers_reach_each_others_inner_containers() {
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
    assert!(all.iter().take(5).all(|address| reaches_from_host(address)));
    let script = format!("for a in {}; do ping -c 1 -W 5 $a >/dev/null || echo $a; done", all.join(" "));
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
            let page = on_host(&["busybox", "timeout", "5", "busybox", "wget", "-q", "-O", "-", &url]);
            (page.status == 0).then(|| assert_eq!(page.stdout, "from the node"))
        });
    }
    let own = format!("http://{}:8080/", address_of(&node.name));
    assert_eq!(client.exec(&["timeout", "5", "wget", "-q", "-O", "-", &own]), "from the node");
}

#[test]
fn names_of_the_outer_network_and_the_outside_resolve_in_inner_containers() {
    let network = Network::new("10.223.0.0/16", "10.223.0.0/24", &[]);
    let web = Outer::start(&network, "echo from outside > /index.html; exec httpd -f -p 80");
    // The outside is whoever the outer engine asks for names that it does not know.
    let _outside = Outside::at("10.223.0.1");
    for mode in ["", "auto"] {
        let offset = format!("DOCKER_NETWORK_OFFSET={mode}");
        let node = node_on(&network, &["--env", &offset, "--dns", "10.223.0.1"]);
        node.until_running();
        node.inner(&["network", "create", "own"]);
        for inner in ["bridge", "own"] {
            let answer = inner_on(&node, inner, &format!("nslookup {}", web.name));
            assert!(answer.contains(&address_of(&web.name)), "`{mode}` {inner}: {answer}");
            let page = format!("wget -q -O - http://{}/", web.name);
            assert_eq!(inner_on(&node, inner, &page), "from outside", "`{mode}` {inner}");
            let answer = inner_on(&node, inner, &format!("nslookup {}", outside::NAME));
            assert!(answer.contains(outside::ADDRESS), "`{mode}` {inner}: {answer}");
            let resolv = inner_on(&node, inner, "cat /etc/resolv.conf");
            assert!(!resolv.contains("8.8."), "`{mode}` {inner}: {resolv}");
        }
        // What makes the embedded server reachable lets nobody else into the node's loopback.
        node.inner_run(&["--network", "host"], "echo secret > /index.html; exec httpd -f -p 127.0.0.1:7777");
        let peek = "ip addr flush dev lo; ip route flush table local dev lo 2>/dev/null
            ip route add 127.0.0.1/32 via $(ip route | awk '/default/ {print $3}')
            timeout 2 wget -q -O - http://127.0.0.1:7777/ || echo no";
        let run = ["run", "--rm", "--cap-add", "NET_ADMIN", "--sysctl", "net.ipv4.conf.all.route_localnet=1"];
        let image = inner_image();
        let what = ["--network", "own", &image, "sh", "-c", peek];
        assert_eq!(node.inner(&[&run[..], &what].concat()), "no", "`{mode}`");
    }
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
            let there = format!("timeout 10 wget -q -O - http://{}/large | md5sum", web.name);
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

/// Pings from the outer host, every 10 ms, until the handle is asked how it went.
struct Pings(Child);

impl Pings {
    fn start(address: &str) -> Self {
        let pid = std::env::var("DIND_TEST_ENGINE_PID").expect("run `cargo xtask test image`");
        let ping = ["busybox", "ping", "-q", "-i", "0.01", "-W", "1", address];
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid, "--net"]).args(ping);
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// How many were sent, and how many of them were answered.
    fn stop(self) -> (usize, usize) {
        // ping tells what it counted when it is interrupted.
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let output = self.0.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains("transmitted")).unwrap_or_else(|| panic!("{text}"));
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        (numbers[0], numbers[1])
    }
}

/// Newer clients refuse to tell older engines a hardware address, so this one is told over its socket.
fn node_with_mac(network: &Network, mac: &str) -> Node {
    let node = Node::named(unique("node"));
    let body = json!({
        "Image": image(), "Cmd": SLEEP, "MacAddress": mac,
        "Env": ["DOCKER_NETWORK_OFFSET=0.0.1.0", "DIND_PRELOAD=/preload"],
        "HostConfig": {
            "Privileged": true, "NetworkMode": network.name,
            "Binds": [format!("{}:/preload:ro", std::env::var("DIND_TEST_PRELOAD").unwrap())],
        },
    })
    .to_string();
    let host = std::env::var("DIND_TEST_DOCKER_HOST").unwrap();
    let mut socket = UnixStream::connect(host.strip_prefix("unix://").unwrap()).unwrap();
    let (name, length) = (&node.name, body.len());
    write!(
        socket,
        "POST /v1.41/containers/create?name={name} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    docker(&["start", &node.name]).ok();
    let shown =
        docker(&["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}", name]);
    assert_eq!(shown.ok(), mac);
    node
}

#[test]
fn inner_containers_that_join_and_leave_cost_no_packet() {
    let network = Network::new("10.225.0.0/16", "10.225.0.0/24", &[]);
    // A bridge takes the lowest address of its ports, and Docker's begin with 02.
    let node = node_with_mac(&network, "fe:42:0a:e1:00:09");
    let pings = Pings::start(&address_of(&node.name));
    node.until_running();
    let ids: Vec<_> = (0..10).map(|_| node.inner_run(&[], "exec sleep 1000")).collect();
    let remove: Vec<_> = ["rm", "--force"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    node.inner(&remove);
    let (sent, answered) = pings.stop();
    assert!(sent > 200, "{sent}");
    // The last one may still be on its way.
    assert!(sent - answered <= 1, "{} of {sent} lost", sent - answered);
}

#[test]
fn forwarding_drops_by_default_and_the_engine_is_left_alone_where_it_is_told_of_it() {
    for (arguments, forwarded, policy) in
        [("", "1", "-P FORWARD DROP"), ("--ip-forward=false", "0", "-P FORWARD ACCEPT")]
    {
        let arguments = format!("DOCKER_DAEMON_ARGS={arguments}");
        let plan = ["run", "--rm", "--privileged", "--env", &arguments, "--entrypoint", "dind-launch"];
        let planned = docker(&[&plan[..], &[&image(), "plan"]].concat()).ok();
        assert_eq!(planned.contains("enable-forwarding"), forwarded == "1", "{planned}");
        let node = Node::start(&["--env", &arguments], SLEEP);
        node.until_running();
        let steps = node.record()["documents"]["net"]["steps"].to_string();
        assert_eq!(steps.contains("enable-forwarding"), forwarded == "1", "{steps}");
        assert_eq!(node.exec(&["cat", "/proc/sys/net/ipv4/ip_forward"]).ok(), forwarded);
        let rules = node.exec(&["iptables", "-S", "FORWARD"]).ok();
        assert!(rules.starts_with(policy) && rules.contains("-j DOCKER-USER"), "{rules}");
    }
}
