//! Bridged mode: the uplink joins the bridge, is restored, and inner containers reach each other.

use crate::namespace::isolated;
use crate::testbed::{self, OWN, OWN_MAC, Testbed, assert_code, assert_same};
use crate::{BRIDGED, UNPROBED};
use dind_tests::scratch;
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_node_is_bridged_and_its_uplink_restored() {
    isolated(|| {
        let net = Testbed::new();
        // A neighbour's entry that is wrong, for the announcement to put right.
        std::fs::write("/proc/sys/net/ipv4/neigh/obr/locktime", "0").unwrap();
        for address in ["10.77.0.3", "fd77::3"] {
            net.host.ip(&format!("neigh replace {address} lladdr 02:00:00:00:00:99 dev obr nud stale"));
        }
        let before = net.snapshot();

        let done = net.dind_net("apply", BRIDGED).ok();
        assert_eq!(done["changed"], true);
        assert_eq!(
            done["result"]["bridge"],
            json!({"name": "docker0", "address": "10.77.0.3/16", "mac": OWN_MAC, "mtu": 1400})
        );
        assert_eq!(
            done["engine"]["config"],
            json!({
                "bip": "10.77.0.3/16",
                "default-address-pools": [
                    {"base": "10.200.0.0/16", "size": 24},
                    {"base": "10.201.0.0/16", "size": 24},
                    {"base": "10.202.0.0/16", "size": 24},
                ],
                "default-gateway": "10.77.0.1",
                "fixed-cidr": "10.77.1.0/24",
                "mtu": 1400,
            })
        );
        for address in ["10.77.0.3", "fd77::3"] {
            let neighbour = net.host.ip_json(&format!("neigh show {address}"));
            assert_eq!(neighbour[0]["lladdr"], OWN_MAC, "{address} was not announced: {neighbour}");
        }
        assert_eq!(net.node.ip_json("neigh show 10.77.0.99 dev docker0")[0]["lladdr"], "02:00:00:00:00:99");

        let bridge = &net.node.ip_json("-d link show docker0")[0];
        assert_eq!(bridge["address"], OWN_MAC);
        assert_eq!(bridge["mtu"], 1400);
        assert_eq!(bridge["linkinfo"]["info_data"]["stp_state"], 0);
        assert_eq!(bridge["linkinfo"]["info_data"]["forward_delay"], 0);
        assert_eq!(net.node.ip_json("link show eth0")[0]["master"], "docker0");
        let addresses = net.addresses("docker0");
        assert_eq!(addresses, ["10.77.0.3/16", "10.77.0.4/16", "fd77::3/64"]);
        assert_eq!(net.addresses("eth0"), Vec::<String>::new());
        // Routes are as they were, but for the link.
        let routes = |snapshot: &Value| snapshot["routes"].to_string();
        assert_eq!(routes(&net.snapshot()), routes(&before).replace("\"eth0\"", "\"docker0\""));
        assert!(net.host.reaches(&net.node, OWN) && net.node.reaches(&net.host, "10.77.0.1"));

        // An inner container, with a lower MAC address and a lower MTU than the bridge.
        let inner = net.join(&net.node, "docker0", "10.77.1.2/16", "02:00:00:00:00:01", 1280);
        assert!(net.host.reaches(&inner, "10.77.1.2") && inner.reaches(&net.host, "10.77.0.1"));
        let bridge = &net.node.ip_json("link show docker0")[0];
        assert_eq!((&bridge["address"], &bridge["mtu"]), (&json!(OWN_MAC), &json!(1400)));
        inner.ip("link delete eth0");

        let again = net.dind_net("apply", BRIDGED).ok();
        assert_eq!((&again["changed"], &again["result"]), (&json!(false), &done["result"]));
        let state = |step: &Value| step["state"] == "skipped";
        assert!(again["steps"].as_array().unwrap().iter().all(state), "{again}");

        // Whatever the engine has left on the bridge is no obstacle.
        net.node.ip("route add 10.98.0.0/16 via 10.77.0.9");
        net.node.ip("addr add 169.254.7.7/32 dev docker0 scope link");
        let released = net.dind_net("release", &[]).ok();
        assert_eq!((&released["changed"], &released["result"]["mode"]), (&json!(true), &json!("released")));
        assert_same(&net.snapshot(), &before, "in the end");
        assert!(net.host.reaches(&net.node, OWN));
        assert!(!net.state.path().join("net.json").exists());
        assert_eq!(net.dind_net("release", &[]).ok()["changed"], false);
    });
}

#[test]
fn two_nodes_with_automatic_ranges_reach_each_other_s_inner_containers() {
    isolated(|| {
        let net = Testbed::new();
        let other = net.join(&net.host, "obr", "10.77.0.7/16", "fe:42:0a:4d:00:07", 1400);
        other.ip("route add default via 10.77.0.1");
        let state = scratch();
        let auto = [("DOCKER_NETWORK_OFFSET", "auto")];
        let first = net.dind_net("apply", &auto).ok();
        let second = testbed::dind_net(&other, state.path(), "apply", &auto).ok();
        assert_eq!(first["result"]["range"], "10.77.3.0/24");
        assert_eq!(second["result"]["range"], "10.77.7.0/24");
        let one = net.join(&net.node, "docker0", "10.77.3.2/16", "02:00:00:00:00:01", 1400);
        let two = net.join(&other, "docker0", "10.77.7.2/16", "02:00:00:00:00:02", 1400);
        assert!(one.reaches(&two, "10.77.7.2") && two.reaches(&one, "10.77.3.2"));
        assert!(net.host.reaches(&two, "10.77.7.2"));
    });
}

#[test]
fn a_range_is_probed_beside_an_apply_and_after_it() {
    isolated(|| {
        let net = Testbed::new();
        let words = ["probe", "--range", "10.77.1.0/24", "--link", "eth0"];
        let free = net.dind_net("probe", BRIDGED).ok();
        assert_eq!(free["result"]["range"], "10.77.1.0/24", "{free}");
        assert_eq!(net.dind_net("probe", &[]).ok()["result"]["mode"], "default");
        net.dind_net("apply", UNPROBED).ok();
        assert_eq!(net.dind_net_with(&words, &[]).ok()["changed"], false);
        // The uplink is a port of the bridge by now.
        let _stranger = net.join(&net.host, "obr", "10.77.1.200/16", "02:00:00:00:00:99", 1400);
        for refused in [net.dind_net_with(&words, &[]), net.dind_net("probe", BRIDGED)] {
            let refused = refused.failed(75);
            assert_code(&refused, "range-in-use");
            let message = refused["error"]["message"].as_str().unwrap();
            assert!(message.contains("10.77.1.200") && message.contains("02:00:00:00:00:99"), "{message}");
        }
        assert_code(
            &net.dind_net_with(&["probe", "--range", "10.77.1.0/24", "--link", "eth7"], &[]).failed(78),
            "uplink-missing",
        );
    });
}

#[test]
fn pools_of_a_bridged_node_are_its_own_or_those_that_were_asked_for() {
    isolated(|| {
        const OWN: &str = r#"["10.200.0.0/16","10.201.0.0/16","10.202.0.0/16"]"#;
        let net = Testbed::new();
        let bases = |document: &serde_json::Value| document["result"]["pools"].to_string();
        let with = |more: &[(&'static str, &'static str)]| [UNPROBED, more].concat();
        let first = net.dind_net("apply", UNPROBED).ok();
        assert_eq!(bases(&first), OWN);
        let again = net.dind_net("apply", UNPROBED).ok();
        assert_eq!((&again["changed"], bases(&again)), (&serde_json::json!(false), bases(&first)));
        // The bridge is there by now, and another one would be made.
        let asked = with(&[("DIND_NET_POOL", "10.90.0.0/16")]);
        assert_code(&net.dind_net("apply", &asked).failed(78), "already-bridged");
        net.dind_net("release", &[]).ok();

        let done = net.dind_net("apply", &asked).ok();
        assert_eq!(
            (bases(&done).as_str(), &done["result"]["bridge"]["name"]),
            (r#"["10.90.0.0/16"]"#, &"dind0".into())
        );
        // The outer subnet is not to be seen on the uplink any more.
        let outer = with(&[("DIND_NET_POOL", "10.77.128.0/17")]);
        assert_code(&net.dind_net("apply", &outer).failed(78), "pool-overlaps");
        net.dind_net("release", &[]).ok();
        let both = with(&[("DIND_NET_POOL", "10.90.0.0/16"), ("DIND_NET_BRIDGE", "docker0")]);
        assert_code(&net.dind_net("apply", &both).failed(78), "bridge-invalid");
    });
}

/// A record that is not understood may hold the default bridge.
#[test]
fn there_are_no_pools_where_an_engine_would_delete_the_bridge_for_them() {
    isolated(|| {
        let net = Testbed::new();
        let data_root = scratch();
        let record = data_root.path().join("network/files/local-kv.db");
        fs::create_dir_all(record.parent().unwrap()).unwrap();
        fs::write(&record, "a record of another format").unwrap();
        let data_root = data_root.path().to_str().unwrap();
        let pools = |more: &[(&str, &str)]| {
            let all = [UNPROBED, &[("DIND_DATA_ROOT", data_root)], more].concat();
            let planned = net.dind_net("plan", &all).ok();
            !planned["engine"]["config"]["default-address-pools"].is_null()
        };
        assert!(!pools(&[]));
        assert!(pools(&[("DIND_NET_RECORD_RENEWED", "true")]));
        assert!(pools(&[("DIND_NET_BRIDGE", "node0")]));
        fs::remove_file(&record).unwrap();
        assert!(pools(&[]));
    });
}

#[test]
fn a_range_in_use_is_refused_with_the_address_and_its_owner() {
    isolated(|| {
        let net = Testbed::new();
        let _stranger = net.join(&net.host, "obr", "10.77.1.200/16", "02:00:00:00:00:99", 1400);
        let before = net.snapshot();
        let refused = net.dind_net("apply", BRIDGED).failed(75);
        assert_code(&refused, "range-in-use");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("10.77.1.200") && message.contains("02:00:00:00:00:99"), "{message}");
        assert_same(&net.snapshot(), &before, "in the end");
        // Whoever switches the probe off knows better.
        net.dind_net("apply", UNPROBED).ok();
        net.dind_net("release", &[]).ok();
        assert_same(&net.snapshot(), &before, "in the end");
    });
}
