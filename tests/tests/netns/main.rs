//! dind-net in network namespaces of its own: a "host" with a bridge, and a "container" behind a veth.
//!
//! Nothing here touches the machine's own network: each test's thread leaves it first, asserts that it has left, and
//! its namespaces end with the thread.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "netns/faults.rs"]
mod faults;
#[path = "netns/lab.rs"]
mod lab;
#[path = "netns/traffic.rs"]
mod traffic;

use lab::{Lab, OWN, OWN_MAC, assert_code, assert_same, isolated};
use serde_json::{Value, json};

const BRIDGED: &[(&str, &str)] = &[("DOCKER_NETWORK_OFFSET", "0.0.1.0")];
const UNPROBED: &[(&str, &str)] = &[("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DIND_NET_PROBE", "false")];

#[test]
fn bridged_and_given_back() {
    isolated(|| {
        let lab = Lab::new();
        // A neighbour's entry that is wrong, for the announcement to put right.
        std::fs::write("/proc/sys/net/ipv4/neigh/obr/locktime", "0").unwrap();
        for address in ["10.77.0.3", "fd77::3"] {
            lab.host.ip(&format!("neigh replace {address} lladdr 02:00:00:00:00:99 dev obr nud stale"));
        }
        let before = lab.snapshot();

        let done = lab.dind_net("apply", BRIDGED).ok();
        assert_eq!(done["changed"], true);
        assert_eq!(
            done["result"]["bridge"],
            json!({"name": "docker0", "address": "10.77.0.3/16", "mac": OWN_MAC, "mtu": 1400})
        );
        assert_eq!(
            done["engine"]["config"],
            json!({"bip": "10.77.0.3/16", "fixed-cidr": "10.77.1.0/24", "default-gateway": "10.77.0.1", "mtu": 1400})
        );
        for address in ["10.77.0.3", "fd77::3"] {
            let neighbour = lab.host.ip_json(&format!("neigh show {address}"));
            assert_eq!(neighbour[0]["lladdr"], OWN_MAC, "{address} was announced: {neighbour}");
        }
        assert_eq!(lab.node.ip_json("neigh show 10.77.0.99 dev docker0")[0]["lladdr"], "02:00:00:00:00:99");

        let bridge = &lab.node.ip_json("-d link show docker0")[0];
        assert_eq!(bridge["address"], OWN_MAC);
        assert_eq!(bridge["mtu"], 1400);
        assert_eq!(bridge["linkinfo"]["info_data"]["stp_state"], 0);
        assert_eq!(bridge["linkinfo"]["info_data"]["forward_delay"], 0);
        assert_eq!(lab.node.ip_json("link show eth0")[0]["master"], "docker0");
        let addresses = lab.addresses("docker0");
        assert_eq!(addresses, ["10.77.0.3/16", "10.77.0.4/16", "fd77::3/64"]);
        assert_eq!(lab.addresses("eth0"), Vec::<String>::new());
        // Routes are as they were, but for the link.
        let routes = |snapshot: &Value| snapshot["routes"].to_string();
        assert_eq!(routes(&lab.snapshot()), routes(&before).replace("\"eth0\"", "\"docker0\""));
        assert!(lab.host.reaches(&lab.node, OWN) && lab.node.reaches(&lab.host, "10.77.0.1"));

        // An inner container, with a lower MAC address and a lower MTU than the bridge.
        let inner = lab.join(&lab.node, "docker0", "10.77.1.2/16", "02:00:00:00:00:01", 1280);
        assert!(lab.host.reaches(&inner, "10.77.1.2") && inner.reaches(&lab.host, "10.77.0.1"));
        let bridge = &lab.node.ip_json("link show docker0")[0];
        assert_eq!((&bridge["address"], &bridge["mtu"]), (&json!(OWN_MAC), &json!(1400)));
        inner.ip("link delete eth0");

        let again = lab.dind_net("apply", BRIDGED).ok();
        assert_eq!((&again["changed"], &again["result"]), (&json!(false), &done["result"]));
        let state = |step: &Value| step["state"] == "skipped";
        assert!(again["steps"].as_array().unwrap().iter().all(state), "{again}");

        // Whatever the engine has left on the bridge is no obstacle.
        lab.node.ip("route add 10.98.0.0/16 via 10.77.0.9");
        lab.node.ip("addr add 169.254.7.7/32 dev docker0 scope link");
        let released = lab.dind_net("release", &[]).ok();
        assert_eq!((&released["changed"], &released["result"]["mode"]), (&json!(true), &json!("released")));
        assert_same(&lab.snapshot(), &before, "in the end");
        assert!(lab.host.reaches(&lab.node, OWN));
        assert!(!lab.state.path().join("net.json").exists());
        assert_eq!(lab.dind_net("release", &[]).ok()["changed"], false);
    });
}

#[test]
fn two_nodes_with_automatic_ranges_reach_each_others_inner_containers() {
    isolated(|| {
        let lab = Lab::new();
        let other = lab.join(&lab.host, "obr", "10.77.0.7/16", "fe:42:0a:4d:00:07", 1400);
        other.ip("route add default via 10.77.0.1");
        let state = tempfile::tempdir().unwrap();
        let auto = [("DOCKER_NETWORK_OFFSET", "auto")];
        let first = lab.dind_net("apply", &auto).ok();
        let second = lab::dind_net(&other, state.path(), "apply", &auto).ok();
        assert_eq!(first["result"]["range"], "10.77.3.0/24");
        assert_eq!(second["result"]["range"], "10.77.7.0/24");
        let one = lab.join(&lab.node, "docker0", "10.77.3.2/16", "02:00:00:00:00:01", 1400);
        let two = lab.join(&other, "docker0", "10.77.7.2/16", "02:00:00:00:00:02", 1400);
        assert!(one.reaches(&two, "10.77.7.2") && two.reaches(&one, "10.77.3.2"));
        assert!(lab.host.reaches(&two, "10.77.7.2"));
    });
}

#[test]
fn a_range_in_use_is_refused_with_the_address_and_its_owner() {
    isolated(|| {
        let lab = Lab::new();
        let _stranger = lab.join(&lab.host, "obr", "10.77.1.200/16", "02:00:00:00:00:99", 1400);
        let before = lab.snapshot();
        let refused = lab.dind_net("apply", BRIDGED).failed(75);
        assert_code(&refused, "range-in-use");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("10.77.1.200") && message.contains("02:00:00:00:00:99"), "{message}");
        assert_same(&lab.snapshot(), &before, "in the end");
        // The one who says that he knows better is believed.
        lab.dind_net("apply", UNPROBED).ok();
        lab.dind_net("release", &[]).ok();
        assert_same(&lab.snapshot(), &before, "in the end");
    });
}

#[test]
fn refusals_change_nothing() {
    /// What is done to the container first, what is asked for, and what is said.
    type Refusal = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);
    let table: &[Refusal] = &[
        (&[], &[("DOCKER_NETWORK_OFFSET", "0.0.0.0")], "range-holds-gateway"),
        (&[], &[("DOCKER_NETWORK_OFFSET", "0.1.0.0")], "range-wraps"),
        (&[], &[("DOCKER_NETWORK_OFFSET", "1.2.3")], "offset-invalid"),
        (&[], &[("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DOCKER_NETWORK_SIZE", "16")], "range-outside-subnet"),
        (&[], &[("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DIND_NET_MTU", "1500")], "mtu-invalid"),
        (&[], &[("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DIND_NET_UPLINK", "eth7")], "uplink-missing"),
        (&["route delete default"], BRIDGED, "uplink-missing"),
        (&["link set eth0 down"], BRIDGED, "uplink-missing"),
        (&["addr flush dev eth0"], BRIDGED, "uplink-missing"),
        (
            &[
                "link add eth1 type veth peer name far1",
                "addr add 10.78.0.2/24 dev eth1",
                "link set eth1 up",
                "link set far1 up",
                "route add default via 10.78.0.1 metric 9",
            ],
            BRIDGED,
            "uplink-ambiguous",
        ),
        (
            &[
                "link add name eth1 link eth0 type macvlan mode bridge",
                "addr add 10.78.0.2/24 dev eth1",
                "link set eth1 up",
                "route replace default via 10.78.0.1",
            ],
            BRIDGED,
            "uplink-unusable",
        ),
        (&["link add docker0 type bridge"], BRIDGED, "bridge-exists"),
        (
            &["route add 10.97.0.0/16 nexthop via 10.77.0.8 dev eth0 nexthop via 10.77.0.9 dev eth0"],
            BRIDGED,
            "route-unsupported",
        ),
        (&["rule add iif eth0 lookup 77"], BRIDGED, "rule-unsupported"),
        (&[], &[("DIND_NET_POOL", "10.77.0.0/20")], "pool-overlaps"),
    ];
    for (setup, variables, code) in table {
        isolated(|| {
            let lab = Lab::new();
            for command in *setup {
                lab.node.ip(command);
            }
            let before = lab.snapshot();
            assert_code(&lab.dind_net("plan", variables).failed(78), code);
            assert_code(&lab.dind_net("apply", variables).failed(78), code);
            assert_same(&lab.snapshot(), &before, code);
        });
    }
}

#[test]
fn default_mode_avoids_what_is_reachable() {
    isolated(|| {
        let lab = Lab::new();
        lab.node.ip("addr add 172.17.0.2/16 dev eth0");
        lab.node.ip("route add 172.18.0.0/15 via 10.77.0.1");
        let before = lab.snapshot();
        let engine = [("DIND_ENGINE_VERSION", "24.0.7"), ("DIND_NET_DNS", "10.77.0.1")];
        let done = lab.dind_net("apply", &engine).ok();
        assert_eq!(
            done["steps"],
            json!([{"op": "make-rules", "target": "table ip dind: clamp", "state": "done"}])
        );
        assert_eq!(lab.dind_net("apply", &engine).ok()["changed"], false);
        assert_eq!(
            done["engine"]["config"],
            json!({
                "bip": "172.20.0.1/16",
                "default-address-pools": [
                    {"base": "172.21.0.0/16", "size": 24},
                    {"base": "172.22.0.0/16", "size": 24},
                    {"base": "172.23.0.0/16", "size": 24},
                ],
                "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}},
                "dns": ["10.77.0.1"],
                "mtu": 1400,
            })
        );
        assert_same(&lab.snapshot(), &before, "in the end");
        assert_eq!(lab.dind_net("release", &[]).ok()["changed"], true);
        assert_eq!(lab.node.run("nft list tables"), "");
    });
}

#[test]
fn forwarding_is_switched_on_ahead_of_the_engine_and_given_back_unless_used() {
    isolated(|| {
        let lab = Lab::new();
        lab.node.ip("addr add 172.17.0.2/16 dev eth0");
        let forward = || {
            let text = lab.node.inside(|| std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward"));
            text.unwrap().trim() == "1"
        };
        let wanted = [("DIND_NET_FORWARD", "true")];
        let before = lab.snapshot();
        let planned = lab.dind_net("plan", &wanted).ok();
        assert_eq!(planned["steps"][1]["op"], "enable-forwarding", "{planned}");
        assert_eq!((forward(), lab.node.run("nft list tables")), (false, String::new()));

        let done = lab.dind_net("apply", &wanted).ok();
        assert_eq!(
            (&done["steps"][1]["op"], &done["steps"][1]["state"]),
            (&json!("enable-forwarding"), &json!("done"))
        );
        assert!(forward());
        assert_eq!(lab.dind_net("apply", &wanted).ok()["changed"], false);
        // To iptables it is its own chain: it lists it, adds to it, and finds it again.
        assert!(lab.node.run("iptables-nft -S FORWARD").starts_with("-P FORWARD DROP"));
        assert_same(&lab.snapshot(), &before, "in the end");
        assert_eq!(lab.dind_net("release", &[]).ok()["changed"], true);
        assert_eq!((forward(), lab.node.run("nft list tables")), (false, String::new()));
        assert_eq!(lab.dind_net("release", &[]).ok()["changed"], false);

        // What an engine has added to stays, and so does what it relies on.
        lab.dind_net("apply", &wanted).ok();
        lab.node.run("iptables-nft -A FORWARD -i docker0 -j ACCEPT");
        lab.dind_net("release", &[]).ok();
        assert!(forward());
        assert_eq!(
            lab.node.run("iptables-nft -S FORWARD").trim(),
            "-P FORWARD DROP\n-A FORWARD -i docker0 -j ACCEPT"
        );

        // A chain that somebody else made keeps its policy, and the engine decides.
        lab.node.run("nft flush ruleset");
        lab.node.inside(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "0")).unwrap();
        lab.node.run("iptables-nft -P FORWARD ACCEPT");
        lab.dind_net("apply", &wanted).ok();
        assert_eq!((forward(), lab.node.run("iptables-nft -S FORWARD").trim()), (false, "-P FORWARD ACCEPT"));
    });
}

#[test]
fn the_other_iptables_is_given_by_a_folder_of_links() {
    isolated(|| {
        let lab = Lab::new();
        let plain = std::fs::canonicalize("/usr/sbin/iptables").expect("the package iptables is installed");
        let other = if plain.to_string_lossy().contains("nft") { "legacy" } else { "nft" };
        let forced = [("DIND_NET_IPTABLES", other)];
        let done = lab.dind_net("apply", &forced).ok();
        let folder = lab.state.path().join(format!("iptables-{other}"));
        assert_eq!(done["engine"]["path_prepend"], json!([folder]));
        assert_eq!(done["steps"][0]["state"], "done");
        let version = std::process::Command::new(folder.join("ip6tables")).arg("--version").output().unwrap();
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        assert_eq!(version.contains("nf_tables"), other == "nft", "{version}");
        assert_eq!(lab.dind_net("apply", &forced).ok()["changed"], false);
        assert_eq!(lab.dind_net("release", &[]).ok()["changed"], true);
        assert!(!folder.exists());
    });
}

#[test]
fn who_may_not_is_told_so() {
    isolated(|| {
        let lab = Lab::new();
        let before = lab.snapshot();
        let no_caps = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        for (who, variables, code) in [
            (&no_caps[..], BRIDGED, "cap-net-admin-missing"),
            (&no_caps[..], &[], "cap-net-admin-missing"),
            (&nobody[..], BRIDGED, "not-root"),
            (&nobody[..], &[], "not-root"),
        ] {
            assert_code(&lab.dind_net_as(who, "apply", variables).failed(77), code);
        }
        lab.dind_net_as(&nobody, "plan", BRIDGED).ok();
        assert_same(&lab.snapshot(), &before, "in the end");
    });
}
