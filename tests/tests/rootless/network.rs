//! The way out and in, which is pasta's.

use super::node;
use dind_tests::outer::{LIMIT, Network, Node, address_of, docker, enter_host_network, inner_image, on_host};
use dind_tests::rootless::enter;
use dind_tests::{eventually, stretched, unique};
use nix::sched::{CloneFlags, setns};
use std::net::UdpSocket;
use std::time::Duration;
use std::{fs, thread};

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
    let directory = format!("/{}", unique("served"));
    let serve =
        format!("mkdir {directory}; echo in >{directory}/index.html; exec httpd -f -p 80 -h {directory}");
    node.inner_run(&["--publish", "9000:9/udp", "--publish", "81:80"], &serve);
    let url = format!("http://{address}:81/");
    eventually("the page comes", LIMIT, || {
        (on_host(&["busybox", "wget", "-q", "-O", "-", &url]).stdout == "in").then_some(())
    });
    // Of the programs in the images none answers UDP.
    let server = socket_in(|| enter_network_of(&directory), 9);
    let client = socket_in(enter_host_network, 0);
    client.connect((address, 9000)).unwrap();
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(stretched(Duration::from_secs(1)))).unwrap();
    }
    let arrives = || {
        // An ICMP answer of the port to an earlier question is an error of this one.
        let _ = client.send(b"question");
        let asker = server.recv_from(&mut [0; 16]).ok()?.1;
        server.send_to(b"answer", asker).unwrap();
        client.recv(&mut [0; 16]).ok()
    };
    if is_newer(&node) {
        eventually("the answer comes", LIMIT, arrives);
    } else {
        assert_eq!(arrives(), None, "an older pasta can do it: the README says otherwise");
    }
}

/// A socket of the network namespace that a thread can enter.
fn socket_in(enter: impl FnOnce() + Send, port: u16) -> UdpSocket {
    let bind = || {
        enter();
        UdpSocket::bind(("0.0.0.0", port)).unwrap()
    };
    thread::scope(|scope| scope.spawn(bind).join().unwrap())
}

/// Moves the calling thread into the network of the only process with this word in its command line.
fn enter_network_of(word: &str) {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let with_word = processes.filter(|process| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|one| one == word.as_bytes())
    });
    let [process] = &with_word.collect::<Vec<_>>()[..] else { panic!("there is no one process of {word}") };
    setns(fs::File::open(process.join("ns/net")).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
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
