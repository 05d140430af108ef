//! Default mode: ranges that are free, forwarding, iptables.

use crate::namespace::isolated;
use crate::testbed::{Testbed, assert_same};
use serde_json::json;

/// Forwarding on request.
const FORWARD: &[(&str, &str)] = &[("DIND_NET_FORWARD", "true")];

#[test]
fn default_mode_avoids_what_is_reachable() {
    isolated(|| {
        let net = Testbed::new();
        net.node.ip("addr add 172.17.0.2/16 dev eth0");
        net.node.ip("route add 10.200.0.0/15 via 10.77.0.1");
        let before = net.snapshot();
        let engine =
            [("DIND_ENGINE_VERSION", "24.0.7"), ("DIND_NET_DNS", "10.77.0.1"), ("DIND_NET_IPV6", "false")];
        let done = net.dind_net("apply", &engine).ok();
        assert_eq!(
            done["steps"],
            json!([{"op": "make-rules", "target": "table ip dind: clamp", "state": "done"}])
        );
        assert_eq!(net.dind_net("apply", &engine).ok()["changed"], false);
        assert_eq!(
            done["engine"]["config"],
            json!({
                "bip": "10.202.0.1/16",
                "default-address-pools": [
                    {"base": "10.203.0.0/16", "size": 24},
                    {"base": "10.204.0.0/16", "size": 24},
                    {"base": "10.205.0.0/16", "size": 24},
                ],
                "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}},
                "dns": ["10.77.0.1"],
                "mtu": 1400,
            })
        );
        assert_same(&net.snapshot(), &before, "in the end");
        assert_eq!(net.dind_net("release", &[]).ok()["changed"], true);
        assert_eq!(net.node.run("nft list tables"), "");
    });
}

#[test]
fn forwarding_is_enabled_ahead_of_the_engine_and_disabled_unless_used() {
    isolated(|| {
        let net = Testbed::new();
        net.node.ip("addr add 172.17.0.2/16 dev eth0");
        let forward = || net.node.forwards();
        let before = net.snapshot();
        let planned = net.dind_net("plan", FORWARD).ok();
        assert_eq!(planned["steps"][1]["op"], "enable-forwarding", "{planned}");
        assert_eq!((forward(), net.node.run("nft list tables")), (false, String::new()));

        let done = net.dind_net("apply", FORWARD).ok();
        assert_eq!(
            (&done["steps"][1]["op"], &done["steps"][1]["state"]),
            (&json!("enable-forwarding"), &json!("done"))
        );
        assert!(forward());
        assert_eq!(net.dind_net("apply", FORWARD).ok()["changed"], false);
        // iptables takes the chain for its own: it lists it, adds to it, and finds it again.
        assert!(net.node.run("iptables-nft -S FORWARD").starts_with("-P FORWARD DROP"));
        assert_same(&net.snapshot(), &before, "in the end");
        assert_eq!(net.dind_net("release", &[]).ok()["changed"], true);
        assert_eq!((forward(), net.node.run("nft list tables")), (false, String::new()));
        assert_eq!(net.dind_net("release", &[]).ok()["changed"], false);

        // What an engine has added to stays, and so does what it relies on.
        net.dind_net("apply", FORWARD).ok();
        net.node.run("iptables-nft -A FORWARD -i docker0 -j ACCEPT");
        net.dind_net("release", &[]).ok();
        assert!(forward());
        assert_eq!(
            net.node.run("iptables-nft -S FORWARD").trim(),
            "-P FORWARD DROP\n-A FORWARD -i docker0 -j ACCEPT"
        );

        // A chain that somebody else made keeps its policy, and the engine decides.
        net.node.run("nft flush ruleset");
        net.node.set("ipv4/ip_forward", "0");
        net.node.run("iptables-nft -P FORWARD ACCEPT");
        net.dind_net("apply", FORWARD).ok();
        assert_eq!((forward(), net.node.run("iptables-nft -S FORWARD").trim()), (false, "-P FORWARD ACCEPT"));
    });
}

/// As on every machine that runs Docker or podman.
#[test]
fn forwarding_that_is_on_already_is_left_to_the_engine() {
    isolated(|| {
        let net = Testbed::new();
        net.node.set("ipv4/ip_forward", "1");
        let planned = net.dind_net("plan", FORWARD).ok();
        let done = net.dind_net("apply", FORWARD).ok();
        for document in [planned, done] {
            let steps = document["steps"].as_array().unwrap();
            assert!(steps.iter().all(|step| step["op"] != "enable-forwarding"), "{document}");
        }
        let rules = net.node.run("iptables-nft -S FORWARD");
        assert_eq!(rules.trim(), "-P FORWARD ACCEPT");
        net.dind_net("release", &[]).ok();
        assert!(net.node.forwards(), "release switched off what apply had not switched on");
    });
}

#[test]
fn the_other_iptables_is_offered_by_a_directory_of_links() {
    isolated(|| {
        let net = Testbed::new();
        let plain = std::fs::canonicalize("/usr/sbin/iptables").expect("the package iptables is installed");
        let other = if plain.to_string_lossy().contains("nft") { "legacy" } else { "nft" };
        let forced = [("DIND_NET_IPTABLES", other)];
        let done = net.dind_net("apply", &forced).ok();
        let directory = net.state.path().join(format!("iptables-{other}"));
        assert_eq!(done["engine"]["path_prepend"], json!([directory]));
        assert_eq!(done["steps"][0]["state"], "done");
        let version =
            std::process::Command::new(directory.join("ip6tables")).arg("--version").output().unwrap();
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        assert_eq!(version.contains("nf_tables"), other == "nft", "{version}");
        assert_eq!(net.dind_net("apply", &forced).ok()["changed"], false);
        assert_eq!(net.dind_net("release", &[]).ok()["changed"], true);
        assert!(!directory.exists());
    });
}
