//! What is refused, and changes nothing.

use crate::BRIDGED;
use crate::namespace::isolated;
use crate::testbed::{Testbed, assert_code, assert_same};
use serde_json::json;
use std::os::unix::net::UnixListener;

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
            let net = Testbed::new();
            for command in *setup {
                net.node.ip(command);
            }
            let before = net.snapshot();
            assert_code(&net.dind_net("plan", variables).failed(78), code);
            assert_code(&net.dind_net("apply", variables).failed(78), code);
            assert_same(&net.snapshot(), &before, code);
        });
    }
}

#[test]
fn a_caller_without_the_privilege_is_refused() {
    isolated(|| {
        let net = Testbed::new();
        let before = net.snapshot();
        let no_caps = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        for (who, variables, code) in [
            (&no_caps[..], BRIDGED, "cap-net-admin-missing"),
            (&no_caps[..], &[], "cap-net-admin-missing"),
            (&nobody[..], BRIDGED, "not-root"),
            (&nobody[..], &[], "not-root"),
        ] {
            assert_code(&net.dind_net_as(who, "apply", variables).failed(77), code);
        }
        net.dind_net_as(&nobody, "plan", BRIDGED).ok();
        assert_same(&net.snapshot(), &before, "in the end");
    });
}

#[test]
fn a_release_without_the_privilege_forgets_nothing() {
    isolated(|| {
        let net = Testbed::new();
        let no_caps = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
        let forward = [("DIND_NET_FORWARD", "true"), ("DIND_NET_MTU", "1400"), ("DIND_NET_DNS", "10.77.0.1")];
        for variables in [BRIDGED, &[], &forward[..]] {
            net.dind_net_as(&no_caps, "release", &[]).ok();
            net.dind_net("apply", variables).ok();
            let before = net.snapshot();
            assert_code(&net.dind_net_as(&no_caps, "release", &[]).failed(77), "cap-net-admin-missing");
            assert_same(&net.snapshot(), &before, "after a refused release");
            assert_eq!(net.dind_net("release", &[]).ok()["changed"], true);
            assert_eq!((net.node.run("nft list tables"), net.node.forwards()), (String::new(), false));
        }
    });
}

#[test]
fn another_engine_in_the_network_namespace_is_refused_and_our_own_is_not() {
    isolated(|| {
        let net = Testbed::new();
        let directory = net.state.path().join("docker/libnetwork");
        std::fs::create_dir_all(&directory).unwrap();
        let socket = directory.join("0a1b2c.sock");
        let engine = net.node.inside(|| UnixListener::bind(&socket)).unwrap();
        let before = net.snapshot();
        // Its process is in the mount namespace of ours, or is not.
        let apart = ["unshare", "--mount"];
        net.dind_net("plan", BRIDGED).ok();
        for variables in [BRIDGED, &[]] {
            for verb in ["plan", "apply"] {
                let refused = net.dind_net_as(&apart, verb, variables).failed(75);
                assert_code(&refused, "network-in-use");
                let message = refused["error"]["message"].as_str().unwrap();
                assert!(message.contains(socket.to_str().unwrap()), "{message}");
            }
        }
        let separate = net.dind_net_as(&apart, "apply", &[("DIND_NET_BRIDGE", "none")]).ok();
        let config = &separate["engine"]["config"];
        assert_eq!((&config["bridge"], &config["iptables"]), (&json!("none"), &json!(false)), "{separate}");
        assert_eq!((&separate["result"]["mode"], &separate["changed"]), (&json!("none"), &json!(false)));
        assert_same(&net.snapshot(), &before, "in the end");
        // What an engine that was killed has left does not count.
        drop(engine);
        net.dind_net_as(&apart, "plan", BRIDGED).ok();
    });
}
