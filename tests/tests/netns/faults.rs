//! Every request of a run fails once, and every run is killed once at every request.

use crate::UNPROBED;
use crate::namespace::isolated;
use crate::testbed::{self, OWN, Testbed, assert_code, assert_same};

/// Forwarding is switched on before the uplink is bridged, and back off when that fails.
const FORWARDING: &[(&str, &str)] = &[UNPROBED[0], UNPROBED[1], ("DIND_NET_FORWARD", "true")];
/// The same for an engine with rules of its own in nf_tables.
const NATIVE: &[(&str, &str)] = &[UNPROBED[0], UNPROBED[1], crate::engine::NATIVE];

#[test]
fn a_failed_request_leaves_everything_as_it_was() {
    for variables in [FORWARDING, NATIVE] {
        isolated(|| {
            let net = Testbed::new();
            let requests = net.count("sendto", "apply", variables);
            net.dind_net("release", &[]).ok();
            assert!(requests > 30, "{requests} requests are too few for a bridge");
            let failures = fail_each(&net, variables, "sendto", "ENOBUFS", 1..=requests);
            assert!(failures >= 30, "only {failures} of {requests} failures were noticed");
        });
    }
}

#[test]
fn a_failed_answer_leaves_everything_as_it_was() {
    for variables in [FORWARDING, NATIVE] {
        isolated(|| {
            let net = Testbed::new();
            let answers = net.count("recvfrom", "apply", variables);
            net.dind_net("release", &[]).ok();
            // The first third only reads: there, a few stand for all.
            let failures = fail_each(&net, variables, "recvfrom", "ENOMEM", (1..=answers).skip(answers / 3));
            assert!(failures >= 30, "only {failures} of {answers} failures were noticed");
        });
    }
}

/// Runs apply again and again, each time with another call that fails. Returns how many of the runs failed.
fn fail_each(
    net: &Testbed,
    variables: &[(&str, &str)],
    call: &str,
    errno: &str,
    which: impl Iterator<Item = usize>,
) -> usize {
    let before = net.snapshot();
    let mut failures = 0;
    for nth in which {
        let run = net.inject(call, "apply", variables, &format!("error={errno}:when={nth}"));
        if run.status == 0 {
            // Not every request counts: announcements, whether the gateway answers, whether nf_tables has rules.
            net.dind_net("release", &[]).ok();
        } else {
            let failure = run.failed(74);
            let code = failure["error"]["code"].as_str().unwrap();
            assert!(["netlink-failed", "rules-failed", "gateway-lost"].contains(&code), "{failure}");
            let steps = failure["steps"].as_array().unwrap();
            assert!(steps.iter().all(|step| step["state"] == "undone"), "{failure}");
            failures += 1;
        }
        assert_same(&net.snapshot(), &before, format!("after a failure of {call} {nth}"));
        assert_eq!(net.node.run("nft list tables"), "", "after a failure of {call} {nth}");
        assert!(!net.node.forwards(), "after a failure of {call} {nth}");
    }
    assert!(net.host.reaches(&net.node, OWN) && net.node.reaches(&net.host, "10.77.0.1"));
    failures
}

#[test]
fn one_transient_error_changes_no_decision() {
    for variables in [FORWARDING, NATIVE] {
        isolated(|| {
            let net = Testbed::new();
            let expected = net.dind_net("plan", variables).ok();
            for (call, errors) in [("sendto", &["ENOBUFS"][..]), ("recvfrom", &["EINTR", "ENOBUFS"])] {
                for nth in 1..=net.count(call, "plan", variables) {
                    for errno in errors {
                        let run = net.inject(call, "plan", variables, &format!("error={errno}:when={nth}"));
                        match run.status {
                            0 => assert_eq!(run.ok(), expected, "{errno} of {call} {nth}"),
                            _ => assert_code(&run.failed(74), "netlink-failed"),
                        }
                    }
                }
            }
        });
    }
}

#[test]
fn a_lost_gateway_undoes_the_apply() {
    isolated(|| {
        let net = Testbed::new();
        let before = net.snapshot();
        // Holds for what leaves over a bridge, and for nothing else.
        net.node.run("ebtables-nft -A OUTPUT -p ARP -j DROP");
        let failure = net.dind_net("apply", UNPROBED).failed(74);
        assert_code(&failure, "gateway-lost");
        let steps = failure["steps"].as_array().unwrap();
        assert!(steps.iter().all(|step| step["state"] == "undone"), "{failure}");
        assert_same(&net.snapshot(), &before, "in the end");
        assert!(net.node.reaches(&net.host, "10.77.0.1"));
    });
}

#[test]
fn a_gateway_that_never_answered_is_not_asked_afterwards() {
    isolated(|| {
        let net = Testbed::new();
        net.host.ip("link set obr arp off");
        let done = net.dind_net("apply", UNPROBED).ok();
        assert_eq!(done["warnings"][0]["code"], "ipv6-moved");
        assert_eq!(done["warnings"][1]["code"], "gateway-silent");
    });
}

#[test]
fn a_run_that_was_killed_is_finished_or_undone_by_the_next() {
    for variables in [UNPROBED, NATIVE] {
        isolated(|| {
            let net = Testbed::new();
            let before = net.snapshot();
            let requests = net.count("sendto", "apply", variables);
            let bridged = net.snapshot();
            let releases = net.count("sendto", "release", &[]);
            for nth in 1..=requests {
                let kill = format!("signal=SIGKILL:when={nth}");
                assert_eq!(
                    net.inject("sendto", "apply", variables, &kill).status,
                    128 + 9,
                    "apply was killed at request {nth}"
                );
                net.dind_net("apply", variables).ok();
                assert_same(
                    &testbed::without_indices(net.snapshot()),
                    &testbed::without_indices(bridged.clone()),
                    format!("after {nth}"),
                );
                net.dind_net("release", &[]).ok();
                assert_same(&net.snapshot(), &before, format!("after {nth}"));
                assert_eq!(net.inject("sendto", "apply", variables, &kill).status, 128 + 9, "{nth}");
                net.dind_net("release", &[]).ok();
                assert_same(&net.snapshot(), &before, format!("released after {nth}"));
            }
            for nth in 1..=releases {
                net.dind_net("apply", variables).ok();
                let kill = format!("signal=SIGKILL:when={nth}");
                assert_eq!(
                    net.inject("sendto", "release", &[], &kill).status,
                    128 + 9,
                    "release was killed at request {nth}"
                );
                net.dind_net("release", &[]).ok();
                assert_same(&net.snapshot(), &before, format!("after a release killed at {nth}"));
            }
        });
    }
}
