//! Who has how long: beside a main process that does not end, paused, with a timeout of its own, after a second signal.

use crate::fixtures::{
    Then, assert_asked, beside_others, marks, outcomes, recorded_ends, start_inner, stop, until_up,
};
use dind_tests::outer::{LIMIT, Node, Share, docker};
use dind_tests::{eventually, promise, within};
use std::time::{Duration, Instant};

#[test]
fn a_main_process_that_ignores_term_costs_the_inner_containers_nothing() {
    let _machine = beside_others();
    let share = Share::new();
    let main = "trap '' TERM; touch /share/main; sleep infinity & while :; do wait; done";
    let node = Node::start(&["--volume", &share.volume()], &["sh", "-c", main]);
    node.until_running();
    start_inner(&node, "quick", &[], Then::End(0));
    start_inner(&node, "slow", &[], Then::EndAfter(3));
    start_inner(&node, "paused", &[], Then::End(0));
    start_inner(&node, "deaf", &["--stop-timeout", "1"], Then::Stay);
    until_up(&share, 4);
    node.inner(&["pause", "paused"]);
    eventually("the main process is up", LIMIT, || share.path("main").exists().then_some(()));

    let stopped = stop(&node);
    assert_asked(&share, &["quick", "slow", "paused", "deaf"], &stopped);
    promise("docker stop", stopped.took, Duration::from_secs(9));
    assert_eq!(stopped.status, 137, "main was killed");
    let record = node.last_record();
    assert_eq!(record["state"], "stopped", "it was the launcher that killed main: {record}");
    let outcomes = outcomes(&record);
    for (name, outcome) in
        [("quick", "graceful"), ("slow", "graceful"), ("paused", "graceful"), ("deaf", "killed")]
    {
        assert_eq!(outcomes[name], outcome, "{name}: {outcomes:?}");
    }
    let ends = recorded_ends(&node);
    let ends: Vec<_> = ["quick", "slow", "paused", "deaf"].iter().map(|name| ends[*name].as_str()).collect();
    assert_eq!(ends, ["0", "0", "0", "137"]);
    let stops = record["documents"]["reaper"]["result"]["stopped"].as_array().unwrap();
    let deaf = stops.iter().find(|one| one["name"] == "deaf").unwrap();
    let took = Duration::from_millis(deaf["ms"].as_u64().unwrap());
    assert!(took >= Duration::from_secs(1), "it had its own second: {deaf}");
    within("the end of a container with a second of its own", took, Duration::from_millis(1500));
}

#[test]
fn a_second_term_ends_the_grace_period() {
    let _machine = beside_others();
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume()], &[]);
    node.until_running();
    start_inner(&node, "deaf", &[], Then::Stay);
    until_up(&share, 1);
    let asked = Instant::now();
    docker(&["kill", "--signal", "TERM", &node.name]).ok();
    eventually("the container has its signal", LIMIT, || (!marks(&share).is_empty()).then_some(()));
    docker(&["kill", "--signal", "TERM", &node.name]).ok();
    assert_eq!(node.exit_status(), 0);
    within("the stop", asked.elapsed(), Duration::from_secs(3));
    assert_eq!(marks(&share)["deaf"].len(), 1);
    let record = node.last_record();
    assert_eq!((&record["state"], outcomes(&record)["deaf"].as_str()), (&"stopped".into(), "killed"));
    assert_eq!(recorded_ends(&node)["deaf"], "137");
}
