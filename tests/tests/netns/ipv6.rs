//! IPv6: networks of a node's own in default mode, a range of the outer subnet in bridged mode, and what is in the way.

use crate::namespace::isolated;
use crate::testbed::{OWN_MAC, Testbed, assert_code, assert_same};
use serde_json::json;

/// An engine that takes a range of a larger subnet.
const BRIDGED: &[(&str, &str)] = &[("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DIND_ENGINE_VERSION", "28.5.0")];

/// As Docker leaves a container: IPv6 is off, but for the links that have an address.
fn as_docker_does(net: &Testbed) {
    net.node.set("ipv6/conf/all/disable_ipv6", "1");
    net.node.set("ipv6/conf/eth0/disable_ipv6", "0");
    for command in ["addr add fd77::3/64 dev eth0 nodad", "-6 route add default via fd77::1"] {
        net.node.ip(command);
    }
    net.host.ip("addr add fd77::1/64 dev obr nodad");
}

#[test]
fn a_node_on_a_network_with_ipv6_has_networks_of_its_own() {
    isolated(|| {
        let net = Testbed::new();
        as_docker_does(&net);
        let before = net.snapshot();
        let done = net.dind_net("apply", &[("DIND_ENGINE_VERSION", "20.10.24")]).ok();
        let (found, config) = (&done["result"]["ipv6"], &done["engine"]["config"]);
        assert_eq!(found["enabled"], true, "{found}");
        let subnet = found["subnet"].as_str().unwrap();
        assert!(subnet.starts_with("fd") && subnet.ends_with("::/64"), "{subnet}");
        assert_eq!(config["fixed-cidr-v6"], subnet);
        let on = json!(true);
        assert_eq!([&config["ipv6"], &config["ip6tables"], &config["experimental"]], [&on, &on, &on]);
        let pools = config["default-address-pools"].as_array().unwrap();
        assert_eq!(pools.last(), Some(&json!({"base": found["pool"], "size": 112})));
        assert_same(&net.snapshot(), &before, "after an apply");
        // Asked whether it could: nothing of that stays in nf_tables.
        assert!(!net.node.run("nft list tables").contains("ip6"));
        let again = net.dind_net("apply", &[("DIND_ENGINE_VERSION", "28.5.0")]).ok();
        assert_eq!(&again["result"]["ipv6"], found, "another run has the same networks");
        let config = &again["engine"]["config"];
        assert_eq!([&config["ip6tables"], &config["experimental"]], [&json!(null), &json!(null)]);
        assert_eq!(
            config["default-network-opts"]["bridge"]["com.docker.network.enable_ipv6"], "true",
            "user-defined networks have it too"
        );

        // One that is taken is left alone.
        net.node.ip(&format!("-6 route add {} via fd77::1", found["pool"].as_str().unwrap()));
        let other = net.dind_net("plan", &[]).ok();
        assert_ne!(other["result"]["ipv6"]["subnet"], found["subnet"]);
    });
}

#[test]
fn routers_are_listened_to_although_the_node_forwards() {
    isolated(|| {
        let net = Testbed::new();
        net.node.ip("-6 route replace default via fd77::1 proto ra");
        let accepts = || net.node.run("cat /proc/sys/net/ipv6/conf/eth0/accept_ra").trim().to_owned();
        // A default route that nobody has learned needs no router's word.
        for (before, after, steps) in [("1", "2", 1), ("0", "0", 0)] {
            net.node.set("ipv6/conf/eth0/accept_ra", before);
            let planned = net.dind_net("plan", &[]).ok();
            assert_eq!(accepts(), before);
            let done = net.dind_net("apply", &[]).ok();
            let count = |document: &serde_json::Value| {
                let steps = document["steps"].as_array().unwrap();
                steps.iter().filter(|step| step["op"] == "accept-ra").count()
            };
            assert_eq!((count(&planned), count(&done), accepts().as_str()), (steps, steps, after));
            assert_eq!(net.dind_net("apply", &[]).ok()["changed"], false);
            net.dind_net("release", &[]).ok();
            assert_eq!(accepts(), before, "after a release");
        }
    });
}

#[test]
fn a_bridged_node_has_a_range_of_the_outer_ipv6_subnet() {
    isolated(|| {
        let net = Testbed::new();
        as_docker_does(&net);
        std::fs::write("/proc/sys/net/ipv4/neigh/obr/locktime", "0").unwrap();
        net.host.ip("neigh replace fd77::3 lladdr 02:00:00:00:00:99 dev obr nud stale");
        let before = net.snapshot();
        let done = net.dind_net("apply", BRIDGED).ok();
        assert_eq!(
            done["result"]["ipv6"],
            json!({
                "enabled": true, "address": "fd77::3/64", "gateway": "fd77::1", "subnet": "fd77::/64",
                "range": "fd77::100/120", "offset": "::100",
            })
        );
        let config = &done["engine"]["config"];
        assert_eq!(config["fixed-cidr-v6"], "fd77::100/120");
        assert_eq!(config["bip6"], "fd77::3/64");
        assert_eq!(config["default-gateway-v6"], "fd77::1");
        assert!(net.addresses("docker0").contains(&"fd77::3/64".to_owned()));
        assert_eq!(net.host.ip_json("neigh show fd77::3")[0]["lladdr"], OWN_MAC, "it was not announced");
        assert!(net.host.reaches(&net.node, "fd77::3") && net.node.reaches(&net.host, "fd77::1"));
        let inner = net.join(&net.node, "docker0", "fd77::102/64 nodad", "02:00:00:00:00:01", 1400);
        assert!(net.host.reaches(&inner, "fd77::102") && inner.reaches(&net.host, "fd77::1"));
        inner.ip("link delete eth0");

        let again = net.dind_net("apply", BRIDGED).ok();
        assert_eq!((&again["changed"], &again["result"]), (&json!(false), &done["result"]));
        net.dind_net("release", &[]).ok();
        assert_same(&net.snapshot(), &before, "after a release");
        assert!(net.host.reaches(&net.node, "fd77::3"));
    });
}

#[test]
fn an_older_engine_has_the_ipv4_range_behind_its_mac_prefix() {
    isolated(|| {
        let net = Testbed::new();
        let older = [("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DIND_ENGINE_VERSION", "20.10.24+dfsg1")];
        let done = net.dind_net("apply", &older).ok();
        // 10.77.1.0/24.
        assert_eq!(done["result"]["ipv6"]["range"], "fd77::242:a4d:100/120");
        assert_eq!(done["engine"]["config"]["fixed-cidr-v6"], "fd77::/64");
        let asked = [older[0], older[1], ("DOCKER_NETWORK_OFFSET6", "::100")];
        assert_code(&net.dind_net("plan", &asked).failed(78), "ipv6-unavailable");
    });
}

#[test]
fn an_ipv6_range_in_use_is_refused_with_the_address_and_its_owner() {
    isolated(|| {
        let net = Testbed::new();
        let _stranger = net.join(&net.host, "obr", "fd77::1a0/64 nodad", "02:00:00:00:00:99", 1400);
        let before = net.snapshot();
        let refused = net.dind_net("apply", BRIDGED).failed(75);
        assert_code(&refused, "range-in-use");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("fd77::1a0") && message.contains("02:00:00:00:00:99"), "{message}");
        assert_same(&net.snapshot(), &before, "after a refusal");
        let elsewhere = [BRIDGED, &[("DOCKER_NETWORK_OFFSET6", "::200")]].concat();
        net.dind_net("apply", &elsewhere).ok();
        net.dind_net("release", &[]).ok();
        // Whoever switches the probe off knows better; so does whoever wants no IPv6.
        for more in [("DIND_NET_PROBE", "false"), ("DIND_NET_IPV6", "false")] {
            net.dind_net("apply", &[BRIDGED, &[more]].concat()).ok();
            net.dind_net("release", &[]).ok();
        }
        assert_same(&net.snapshot(), &before, "in the end");
    });
}

#[test]
fn ipv6_that_cannot_be_is_off_with_a_reason_and_refused_where_it_is_asked_for() {
    /// What is done to the container first, what is asked for, why there is none, and the code where it is asked for.
    type Case =
        (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str, &'static str);
    let table: &[Case] = &[
        (&["-6 route delete default"], &[], "outer-network", "ipv6-unavailable"),
        (&[], &BRIDGED[..1], "engine-version", "ipv6-unavailable"),
        (
            &[
                "addr flush dev eth0 to fd77::/64",
                "addr add fd77::3/120 dev eth0 nodad",
                "-6 route replace default via fd77::1",
            ],
            BRIDGED,
            "range",
            "range-wraps",
        ),
    ];
    for (setup, variables, reason, code) in table {
        isolated(|| {
            let net = Testbed::new();
            for command in *setup {
                net.node.ip(command);
            }
            let before = net.snapshot();
            let planned = net.dind_net("plan", variables).ok();
            let found = &planned["result"]["ipv6"];
            assert_eq!((&found["enabled"], &found["reason"]), (&json!(false), &json!(reason)), "{found}");
            assert_ne!(found["detail"], "", "{found}");
            assert_eq!(planned["engine"]["config"]["ipv6"], json!(null));
            let asked = [variables, &[("DIND_NET_IPV6", "true")][..]].concat();
            assert_code(&net.dind_net("apply", &asked).failed(78), code);
            assert_same(&net.snapshot(), &before, code);
        });
    }
}
