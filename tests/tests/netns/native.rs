//! Beside an engine that writes its rules to nf_tables itself: what passes, and what does not.

use crate::engine::{Engine, NATIVE, serves};
use crate::namespace::{Namespace, isolated};
use crate::testbed::{OWN, Testbed, assert_code, assert_same};
use dind_tests::{eventually, stretched};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const BRIDGED: &[(&str, &str)] = &[("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DIND_NET_PROBE", "false"), NATIVE];

#[test]
fn user_networks_of_a_bridged_node_reach_the_outer_network_and_nothing_reaches_them_unasked() {
    isolated(|| {
        let net = Testbed::new();
        let before = net.snapshot();
        let done = net.dind_net("apply", BRIDGED).ok();
        assert_eq!(done["result"]["firewall"], json!({"backend": "nftables", "reason": "works"}));
        assert_eq!(done["engine"]["config"]["firewall-backend"], "nftables");
        assert_eq!(done["engine"]["config"]["bridge-accept-fwmark"], "0x2000/0x2000");
        assert_eq!((&done["result"]["iptables"], &done["warnings"]), (&Value::Null, &json!([])));
        let engine = Engine::start(&net, &done);
        let ranged = engine.container("docker0", "10.77.1.2/16", "10.77.0.1", 100);
        let user = engine.user_network("br-user", "10.200.0", 8080);
        let other = engine.user_network("br-other", "10.200.1", 8081);

        // The way out, and what is published, from everywhere.
        assert!(user.reaches(&net.host, "10.77.0.1") && ranged.reaches(&net.host, "10.77.0.1"));
        assert!(net.host.reaches(&ranged, "10.77.1.2"));
        let node = |port: u16| format!("{OWN}:{port}");
        assert!(serves(&user, "10.200.0.2:80", &net.host, &node(8080)));
        assert!(serves(&other, "10.200.1.2:80", &user, &node(8081)));

        // What is not: straight to a container from outside, from one bridge to another.
        net.host.ip("route add 10.200.0.0/16 via 10.77.0.3");
        for (from, to, address) in [
            (&net.host, &user, "10.200.0.2"),
            (&ranged, &user, "10.200.0.2"),
            (&user, &ranged, "10.77.1.2"),
            (&user, &other, "10.200.1.2"),
        ] {
            assert!(!serves(to, &format!("{address}:81"), from, &format!("{address}:81")), "{address}");
        }

        let again = net.dind_net("apply", BRIDGED).ok();
        assert_eq!(
            (&again["changed"], &again["result"]["firewall"]),
            (&json!(false), &done["result"]["firewall"])
        );

        // Without our rule the engine cuts them off, which is what this is for.
        net.node.run("nft flush chain ip dind isolation");
        assert!(!serves(&net.host, "10.77.0.1:82", &user, "10.77.0.1:82"));
        assert!(serves(&user, "10.200.0.2:80", &net.host, &node(8080)));

        for link in ["br-user", "br-other"] {
            net.node.ip(&format!("link delete {link}"));
        }
        for family in ["ip", "ip6"] {
            net.node.run(&format!("nft delete table {family} docker-bridges"));
        }
        net.node.ip("link delete p024200000064");
        drop((ranged, user, other));
        // The kernel removes a namespace, and with it the other end of its links, in its own time.
        eventually("the containers' links are gone", Duration::from_secs(5), || {
            let links = net.node.ip_json("link");
            let of_container =
                |link: &Value| link["ifname"].as_str().is_some_and(|name| name.starts_with("p0242"));
            (!links.as_array().unwrap().iter().any(of_container)).then_some(())
        });
        net.dind_net("release", &[]).ok();
        assert_same(&net.snapshot(), &before, "after a release");
        assert_eq!((net.node.run("nft list tables").as_str(), net.node.forwards()), ("", false));
    });
}

#[test]
fn the_mark_of_an_engine_with_one_of_its_own_is_taken() {
    isolated(|| {
        let net = Testbed::new();
        let own = [BRIDGED, &[("DIND_NET_ACCEPT_FWMARK", "0x30/0xf0")]].concat();
        let done = net.dind_net("apply", &own).ok();
        assert_eq!(done["engine"]["config"]["bridge-accept-fwmark"], "0x30/0xf0");
        let engine = Engine::start(&net, &done);
        let user = engine.user_network("br-user", "10.200.0", 8080);
        assert!(user.reaches(&net.host, "10.77.0.1"));
        // The bits of others stay as they are.
        let rules = net.node.run("nft list chain ip dind isolation");
        assert!(rules.contains("meta mark set meta mark & 0xffffff3f | 0x00000030"), "{rules}");
    });
}

#[test]
fn an_engine_that_only_checks_forwarding_finds_it_on_and_closed_to_what_is_not_its_own() {
    isolated(|| {
        let net = Testbed::new();
        let planned = net.dind_net("plan", &[NATIVE, ("DIND_NET_IPV6", "false")]).ok();
        let refused = Engine::new(&net, &planned).output("start");
        assert!(!refused.status.success(), "it starts without forwarding");
        net.node.run("nft flush ruleset");
        net.node.ip("link delete docker0");

        let done = net.dind_net("apply", &[NATIVE, ("DIND_NET_IPV6", "false")]).ok();
        let last = done["steps"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["op"], &last["state"]), (&json!("enable-forwarding"), &json!("done")));
        let targets = last["target"].as_str().unwrap();
        assert!(targets.contains("net.ipv4.ip_forward") && targets.contains("ipv6"), "{targets}");
        let engine = Engine::start(&net, &done);
        // One with IPv6 that the user makes, where the outer network has none.
        engine.run("network br-six 10.77.201.0/24 fd99::/64");
        let bip = done["engine"]["config"]["bip"].as_str().unwrap().split('/').next().unwrap().to_owned();
        let inside = bip.replace(".0.1", ".0.2");
        let inner = engine.container("docker0", &format!("{inside}/16"), &bip, 1);
        let user = engine.user_network("br-user", "10.77.200", 8080);
        assert!(inner.reaches(&net.host, "10.77.0.1") && user.reaches(&net.host, "10.77.0.1"));
        assert!(serves(&user, "10.77.200.2:80", &net.host, &format!("{OWN}:8080")));
        assert!(!serves(&user, "10.77.200.2:81", &inner, "10.77.200.2:81"), "from one bridge to another");

        // Another link of the node, such as a second outer network: the node is no router between the two.
        let far = Namespace::new();
        let there = format!("/proc/{}/fd/{}", std::process::id(), far.descriptor());
        net.node.ip(&format!("link add eth1 type veth peer name eth0 netns {there}"));
        net.node.ip("addr add 10.88.0.1/24 dev eth1");
        net.node.ip("link set eth1 up");
        far.ip("addr add 10.88.0.2/24 dev eth0");
        far.ip("link set eth0 up");
        far.ip("route add default via 10.88.0.1");
        net.host.ip("route add 10.88.0.0/24 via 10.77.0.3");
        assert!(!serves(&net.host, "10.77.0.1:83", &far, "10.77.0.1:83"), "the node is a router");
        net.node.run("nft delete chain ip dind forwarding");
        assert!(serves(&net.host, "10.77.0.1:83", &far, "10.77.0.1:83"), "the chain is not what closes it");
        net.dind_net("release", &[]).ok();
        assert!(!net.node.forwards(), "after a release");
        assert_eq!(net.node.run("cat /proc/sys/net/ipv6/conf/all/forwarding").trim(), "0");
    });
}

#[test]
fn ipv6_is_forwarded_for_an_engine_that_only_checks_it_and_routers_are_still_listened_to() {
    isolated(|| {
        let net = Testbed::new();
        net.host.ip("addr add fd77::1/64 dev obr nodad");
        net.node.set("ipv6/conf/eth0/accept_ra", "1");
        net.node.ip("-6 route replace default via fd77::1 proto ra");
        let controls = |net: &Testbed| {
            let read =
                |name: &str| net.node.run(&format!("cat /proc/sys/net/ipv6/conf/{name}")).trim().to_owned();
            [read("all/forwarding"), read("default/forwarding"), read("eth0/accept_ra")]
        };
        assert_eq!(controls(&net), ["0", "0", "1"]);
        // Whose inner containers get no IPv6 from us may make networks with it.
        net.dind_net("apply", &[NATIVE, ("DIND_NET_IPV6", "false")]).ok();
        assert_eq!(controls(&net), ["1", "1", "2"]);
        assert!(net.node.ip("-6 route show default").contains("fd77::1"), "the route is gone");
        net.dind_net("release", &[]).ok();
        assert_eq!(controls(&net), ["0", "0", "1"]);
        let done = net.dind_net("apply", &[NATIVE]).ok();
        assert_eq!(done["result"]["ipv6"]["enabled"], true, "{done}");
        assert_eq!(controls(&net), ["1", "1", "2"]);
        assert!(net.node.ip("-6 route show default").contains("fd77::1"), "the route is gone");
        let engine = Engine::start(&net, &done);
        let subnet = done["engine"]["config"]["fixed-cidr-v6"].as_str().unwrap().replace("::/64", "::");
        let inner = engine.container("docker0", "10.200.9.9/16", "10.200.0.1", 1);
        inner.ip(&format!("addr add {subnet}2/64 dev eth0 nodad"));
        inner.ip(&format!("-6 route add default via {subnet}1"));
        assert!(inner.reaches(&net.host, "fd77::1"));
        assert_eq!(net.dind_net("apply", &[NATIVE]).ok()["changed"], false);
        net.dind_net("release", &[]).ok();
        assert_eq!(controls(&net), ["0", "0", "1"]);
        assert!(!net.node.run("nft list tables").contains("dind"));
    });
}

/// Answers each query that reaches it with the query.
fn echo(place: &Namespace, address: &str) {
    let socket = place.inside(|| UdpSocket::bind(address)).unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&query[..length], from);
        }
    });
    let listener = place.inside(|| TcpListener::bind(address)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut query = [0; 4];
            let _ = stream.read_exact(&mut query).and_then(|()| stream.write_all(&query));
        }
    });
}

#[test]
fn the_embedded_name_server_answers_inner_containers() {
    for variables in [&[NATIVE][..], BRIDGED] {
        isolated(|| {
            let net = Testbed::new();
            echo(&net.node, "127.0.0.11:45353");
            let file = net.state.path().join("resolv.conf");
            std::fs::write(&file, "nameserver 127.0.0.11\noptions ndots:0\n").unwrap();
            let script = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", file.display());
            let through = ["unshare", "--mount", "sh", "-c", &script, "sh"];
            let done = net.dind_net_as(&through, "apply", variables).ok();
            let server = done["engine"]["config"]["dns"][0].as_str().unwrap();
            let engine = Engine::start(&net, &done);
            let user = engine.user_network("br-user", "10.99.9", 8080);
            user.inside(|| {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.set_read_timeout(Some(stretched(Duration::from_secs(5)))).unwrap();
                socket.send_to(b"name", (server, 53)).unwrap();
                let mut answer = [0; 4];
                assert_eq!((socket.recv(&mut answer).ok(), &answer), (Some(4), b"name"), "{variables:?}");
                let mut stream = TcpStream::connect((server, 53)).unwrap();
                stream.write_all(b"name").unwrap();
                stream.read_exact(&mut answer).unwrap();
            });
            net.dind_net("release", &[]).ok();
        });
    }
}

#[test]
fn a_change_of_the_engine_s_backend_leaves_nothing_of_the_one_before() {
    isolated(|| {
        let net = Testbed::new();
        let forward = ("DIND_NET_FORWARD", "true");
        let older = ("DIND_ENGINE_VERSION", "28.5.0");
        let state = |net: &Testbed| (net.node.run("nft list tables"), net.node.forwards());
        let bridged = |version| [BRIDGED[0], BRIDGED[1], version, forward];
        net.dind_net("apply", &bridged(older)).ok();
        assert!(net.node.run("nft list ruleset").contains("DOCKER-USER"));
        let done = net.dind_net("apply", &bridged(NATIVE)).ok();
        assert_eq!(done["result"]["firewall"]["backend"], "nftables", "{done}");
        let rules = net.node.run("nft list ruleset");
        assert!(!rules.contains("DOCKER-USER") && !rules.contains("FORWARD"), "{rules}");
        assert!(net.node.forwards());
        let back = net.dind_net("apply", &bridged(older)).ok();
        assert_eq!(back["result"]["iptables"]["backend"], "nft", "{back}");
        let rules = net.node.run("nft list ruleset");
        assert!(rules.contains("DOCKER-USER") && rules.contains("policy drop"), "{rules}");
        assert!(!rules.contains("iifkind") && net.node.forwards(), "{rules}");
        net.dind_net("release", &[]).ok();
        assert_eq!(state(&net), (String::new(), false));
    });
}

#[test]
fn what_the_engine_would_not_start_with_is_refused_and_auto_takes_the_other() {
    isolated(|| {
        let net = Testbed::new();
        let before = net.snapshot();
        let asked = ("DIND_NET_FIREWALL", "nftables");
        assert_code(
            &net.dind_net("apply", &[asked, ("DIND_ENGINE_VERSION", "28.5.2")]).failed(78),
            "firewall-unavailable",
        );
        let swarm = net.state.path().join("swarm");
        std::fs::create_dir(&swarm).unwrap();
        std::fs::write(swarm.join("docker-state.json"), "{}").unwrap();
        assert_code(&net.dind_net("apply", &[asked, NATIVE]).failed(78), "firewall-unavailable");
        assert_eq!(net.dind_net("apply", &[NATIVE]).ok()["result"]["firewall"]["reason"], "swarm");
        std::fs::remove_dir_all(swarm).unwrap();
        net.dind_net("release", &[]).ok();
        net.node.run("iptables-nft -P FORWARD DROP");
        let mixed = net.dind_net("plan", &[NATIVE]).ok();
        assert_eq!(mixed["result"]["firewall"]["reason"], "has-rules");
        let mixed = net.dind_net("plan", &[NATIVE, asked]).ok();
        let codes: Vec<_> =
            mixed["warnings"].as_array().unwrap().iter().map(|warning| &warning["code"]).collect();
        assert!(codes.contains(&&json!("firewall-mixed")), "{mixed}");
        net.node.run("nft flush ruleset");
        assert_same(&net.snapshot(), &before, "in the end");
    });
}
