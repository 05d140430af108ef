//! An outer bridge that sends frames back over the port that they came by (`hairpinMode` of CNI's plugin `bridge`).

use crate::BRIDGED;
use crate::namespace::{Namespace, isolated};
use crate::testbed::{OWN, OWN_MAC, Testbed};
use dind_tests::{eventually, stretched};
use serde_json::Value;
use std::net::UdpSocket;
use std::time::Duration;

/// Of an inner container.
const INNER_MAC: &str = "02:00:00:00:01:02";
/// Where frames of ours are told apart.
const TABLE: &str = "bridge dind";

/// A bridged node, and one beside it, both on ports that send frames back.
struct Reflected {
    net: Testbed,
    beside: Namespace,
}

impl Reflected {
    fn new() -> Self {
        let net = Testbed::new();
        let beside = net.join(&net.host, "obr", "10.77.0.9/16", "02:00:00:00:00:09", 1400);
        for mac in [OWN_MAC, "02:00:00:00:00:09"] {
            let port = format!("p{}", mac.replace(':', ""));
            net.host.run(&format!("bridge link set dev {port} hairpin on"));
        }
        Self { net, beside }
    }

    fn inner(&self, address: &str, mac: &str) -> Namespace {
        self.net.join(&self.net.node, "docker0", &format!("{address}/16"), mac, 1400)
    }

    /// The port at which the node's bridge has learned a hardware address.
    fn port_of(&self, mac: &str) -> String {
        let learned = self.net.node.run("bridge -j fdb show br docker0");
        let learned: Value = serde_json::from_str(&learned).unwrap();
        let entry = learned.as_array().unwrap().iter().find(|entry| entry["mac"] == mac);
        entry.unwrap_or_else(|| panic!("{mac} is not known: {learned}"))["ifname"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn until_moved(&self) {
        eventually("the bridge has moved the container to the uplink", Duration::from_secs(5), || {
            (self.port_of(INNER_MAC) == "eth0").then_some(())
        });
    }
}

fn receiver(namespace: &Namespace, port: u16) -> UdpSocket {
    let socket = namespace.inside(|| UdpSocket::bind(("0.0.0.0", port))).unwrap();
    socket.set_read_timeout(Some(stretched(Duration::from_secs(5)))).unwrap();
    socket
}

fn next(socket: &UdpSocket) -> String {
    let mut bytes = [0; 64];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[test]
fn inner_containers_are_reached_over_a_bridge_that_sends_frames_back() {
    isolated(|| {
        let reflected = Reflected::new();
        let Reflected { net, beside } = &reflected;
        // With the probe, whose own frames come back, too.
        let done = net.dind_net("apply", BRIDGED).ok();
        assert!(!done["warnings"].to_string().contains("hairpin"), "{done}");
        let inner = reflected.inner("10.77.1.2", INNER_MAC);
        let second = reflected.inner("10.77.1.3", "02:00:00:00:01:03");
        let port = format!("p{}", INNER_MAC.replace(':', ""));
        for (from, to, address) in [
            (&inner, &net.host, "10.77.0.1"),
            (&net.host, &inner, "10.77.1.2"),
            (&inner, beside, "10.77.0.9"),
            (beside, &inner, "10.77.1.2"),
            (&inner, &second, "10.77.1.3"),
            (&inner, &net.node, OWN),
            (&net.node, &inner, "10.77.1.2"),
            (&net.node, beside, "10.77.0.9"),
        ] {
            assert!(from.reaches(to, address), "{address}");
            assert_eq!(reflected.port_of(INNER_MAC), port);
        }

        // Each gets one copy of a broadcast: another one would come before the answer of the node beside.
        let (heard, answers) = (receiver(&second, 7000), receiver(beside, 7000));
        let sender = inner.inside(|| UdpSocket::bind("10.77.1.2:0")).unwrap();
        sender.set_broadcast(true).unwrap();
        sender.send_to(b"to all", "10.77.255.255:7000").unwrap();
        assert_eq!(next(&answers), "to all");
        answers.send_to(b"to one", "10.77.1.3:7000").unwrap();
        assert_eq!([next(&heard), next(&heard)], ["to all", "to one"]);

        // The control: a bridge learns otherwise from the first broadcast.
        net.node.run(&format!("nft delete table {TABLE}"));
        sender.send_to(b"to all", "10.77.255.255:7000").unwrap();
        reflected.until_moved();
        inner.ip("neigh flush dev eth0");
        assert!(!inner.reaches(&net.host, "10.77.0.1"), "the outer bridge sends nothing back");
        net.dind_net("release", &[]).ok();
    });
}

/// The machine sends a connection to a service back with another destination alone, where the service is the node's own.
#[test]
fn a_frame_that_comes_back_for_the_node_arrives_and_moves_nobody() {
    isolated(|| {
        let reflected = Reflected::new();
        let net = &reflected.net;
        net.dind_net("apply", BRIDGED).ok();
        let inner = reflected.inner("10.77.1.2", INNER_MAC);
        assert!(inner.reaches(&net.node, OWN));
        let port = reflected.port_of(INNER_MAC);
        // In the machine's place: who has the container's address.
        let outer = net.join(&net.host, "obr", "10.77.0.50/16", "02:00:00:00:00:50", 1400);
        // A new link drops what is sent at first.
        assert!(outer.reaches(&net.host, "10.77.0.1"));
        outer.ip(&format!("link set eth0 address {INNER_MAC}"));
        outer.ip(&format!("neigh replace {OWN} lladdr {OWN_MAC} dev eth0 nud permanent"));
        let heard = receiver(&net.node, 7000);
        let sender = outer.inside(|| UdpSocket::bind("10.77.0.50:0")).unwrap();
        sender.send_to(b"back", (OWN, 7000)).unwrap();
        assert_eq!(next(&heard), "back");
        assert_eq!(reflected.port_of(INNER_MAC), port);
        // The control.
        net.node.run(&format!("nft delete table {TABLE}"));
        sender.send_to(b"back", (OWN, 7000)).unwrap();
        reflected.until_moved();
        net.dind_net("release", &[]).ok();
    });
}

#[test]
fn a_kernel_that_has_no_tables_for_bridges_has_the_other_rules() {
    isolated(|| {
        let net = Testbed::new();
        let requests = net.count("sendto", "apply", crate::UNPROBED);
        net.dind_net("release", &[]).ok();
        let warned = (1..=requests).find_map(|nth| {
            let run = net.inject("sendto", "apply", crate::UNPROBED, &format!("error=EOPNOTSUPP:when={nth}"));
            let done = (run.status == 0).then(|| run.ok());
            let tables = net.node.run("nft list tables");
            net.dind_net("release", &[]).ok();
            let done = done?;
            let mut warnings = done["warnings"].as_array().unwrap().iter();
            let warning = warnings.find(|warning| warning["code"] == "hairpin-unfiltered")?.clone();
            let others = tables.contains("table ip dind") && !tables.contains(TABLE);
            others.then_some(warning)
        });
        let warning = warned.expect("one of the requests makes the rules");
        assert!(warning["message"].as_str().unwrap().contains("not supported"), "{warning}");
    });
}

#[test]
fn a_release_leaves_no_table_of_bridges() {
    isolated(|| {
        let net = Testbed::new();
        net.dind_net("apply", crate::UNPROBED).ok();
        assert!(net.node.run("nft list tables").contains(TABLE));
        // Default mode has none either.
        net.dind_net("release", &[]).ok();
        assert_eq!(net.node.run("nft list tables"), "");
        net.dind_net("apply", &[]).ok();
        assert!(!net.node.run("nft list tables").contains(TABLE));
        net.dind_net("release", &[]).ok();
    });
}
