//! Every request of a run fails once, and every run is killed once at every request.

use crate::UNPROBED;
use crate::lab::{self, Lab, OWN, assert_code, assert_same};
use crate::namespace::isolated;

/// Forwarding is switched on before the uplink is bridged, and back off when that fails.
const FORWARDING: &[(&str, &str)] = &[UNPROBED[0], UNPROBED[1], ("DIND_NET_FORWARD", "true")];

#[test]
fn a_failed_request_leaves_everything_as_it_was() {
    isolated(|| {
        let lab = Lab::new();
        let requests = lab.count("sendto", "apply", FORWARDING);
        lab.dind_net("release", &[]).ok();
        assert!(requests > 30, "{requests} requests are too few for a bridge");
        let failures = fail_each(&lab, "sendto", "ENOBUFS", 1..=requests);
        assert!(failures >= 30, "only {failures} of {requests} failures were noticed");
    });
}

#[test]
fn a_failed_answer_leaves_everything_as_it_was() {
    isolated(|| {
        let lab = Lab::new();
        let answers = lab.count("recvfrom", "apply", FORWARDING);
        lab.dind_net("release", &[]).ok();
        // The first third only reads: there, a few stand for all.
        let failures = fail_each(&lab, "recvfrom", "ENOMEM", (1..=answers).skip(answers / 3));
        assert!(failures >= 30, "only {failures} of {answers} failures were noticed");
    });
}

/// Runs apply again and again, each time with another call that fails. Returns how many of the runs failed.
fn fail_each(lab: &Lab, call: &str, errno: &str, which: impl Iterator<Item = usize>) -> usize {
    let before = lab.snapshot();
    let mut failures = 0;
    for nth in which {
        let run = lab.inject(call, "apply", FORWARDING, &format!("error={errno}:when={nth}"));
        if run.status == 0 {
            // Not every request counts: announcements, whether the gateway answers, whether nf_tables has rules.
            lab.dind_net("release", &[]).ok();
        } else {
            let failure = run.failed(74);
            let code = failure["error"]["code"].as_str().unwrap();
            assert!(["netlink-failed", "rules-failed", "gateway-lost"].contains(&code), "{failure}");
            let steps = failure["steps"].as_array().unwrap();
            assert!(steps.iter().all(|step| step["state"] == "undone"), "{failure}");
            failures += 1;
        }
        assert_same(&lab.snapshot(), &before, format!("after a failure of {call} {nth}"));
        assert_eq!(lab.node.run("nft list tables"), "", "after a failure of {call} {nth}");
        assert!(!lab.node.forwards(), "after a failure of {call} {nth}");
    }
    assert!(lab.host.reaches(&lab.node, OWN) && lab.node.reaches(&lab.host, "10.77.0.1"));
    failures
}

#[test]
fn a_lost_gateway_undoes_the_apply() {
    isolated(|| {
        let lab = Lab::new();
        let before = lab.snapshot();
        // Holds for what leaves over a bridge, and for nothing else.
        lab.node.run("ebtables-nft -A OUTPUT -p ARP -j DROP");
        let failure = lab.dind_net("apply", UNPROBED).failed(74);
        assert_code(&failure, "gateway-lost");
        let steps = failure["steps"].as_array().unwrap();
        assert!(steps.iter().all(|step| step["state"] == "undone"), "{failure}");
        assert_same(&lab.snapshot(), &before, "in the end");
        assert!(lab.node.reaches(&lab.host, "10.77.0.1"));
    });
}

#[test]
fn a_gateway_that_never_answered_is_not_asked_afterwards() {
    isolated(|| {
        let lab = Lab::new();
        lab.host.ip("link set obr arp off");
        let done = lab.dind_net("apply", UNPROBED).ok();
        assert_eq!(done["warnings"][0]["code"], "ipv6-moved");
        assert_eq!(done["warnings"][1]["code"], "gateway-silent");
    });
}

#[test]
fn a_run_that_was_killed_is_finished_or_undone_by_the_next() {
    isolated(|| {
        let lab = Lab::new();
        let before = lab.snapshot();
        let requests = lab.count("sendto", "apply", UNPROBED);
        let bridged = lab.snapshot();
        let releases = lab.count("sendto", "release", &[]);
        for nth in 1..=requests {
            let kill = format!("signal=SIGKILL:when={nth}");
            assert_eq!(
                lab.inject("sendto", "apply", UNPROBED, &kill).status,
                128 + 9,
                "apply was killed at request {nth}"
            );
            lab.dind_net("apply", UNPROBED).ok();
            assert_same(
                &lab::without_indices(lab.snapshot()),
                &lab::without_indices(bridged.clone()),
                format!("after {nth}"),
            );
            lab.dind_net("release", &[]).ok();
            assert_same(&lab.snapshot(), &before, format!("after {nth}"));
            assert_eq!(lab.inject("sendto", "apply", UNPROBED, &kill).status, 128 + 9, "{nth}");
            lab.dind_net("release", &[]).ok();
            assert_same(&lab.snapshot(), &before, format!("released after {nth}"));
        }
        for nth in 1..=releases {
            lab.dind_net("apply", UNPROBED).ok();
            let kill = format!("signal=SIGKILL:when={nth}");
            assert_eq!(
                lab.inject("sendto", "release", &[], &kill).status,
                128 + 9,
                "release was killed at request {nth}"
            );
            lab.dind_net("release", &[]).ok();
            assert_same(&lab.snapshot(), &before, format!("after a release killed at {nth}"));
        }
    });
}
