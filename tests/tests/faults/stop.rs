//! Stops of containers that ignore them, and signals that come too often.

use crate::fixtures::{IGNORES, Image, MAIN, SLEEPS, node, really_running, sh, until_no_zombies, written};
use crate::order::Trace;
use dind_tests::outer::{LIMIT, Node, Share, docker};
use dind_tests::{eventually, promise};
use std::time::Duration;

#[test]
fn three_inner_containers_that_ignore_term_are_killed_before_the_node_is() {
    let (image, share) = (Image::new(), Share::new());
    let node = node(&image.options(), &["--volume", &share.volume()], MAIN);
    node.until_running();
    share.until("up");
    let names = ["one", "three", "two"];
    for name in names {
        node.inner_run(&["--name", name], IGNORES);
    }
    assert_eq!(really_running(&node), names);
    let (status, took) = node.stop();
    assert_eq!(status, 42, "main's own, and not 137: {}", node.log());
    // After ten seconds the outer engine kills.
    promise("docker stop", took, Duration::from_millis(9_500));
    image.assert_clean();
    let record = node.last_record();
    let stopped = record["documents"]["reaper"]["result"]["stopped"].as_array().unwrap();
    assert!(stopped.iter().all(|one| one["outcome"] == "killed") && stopped.len() == 3, "{stopped:?}");
    assert_eq!(record["documents"]["release-storage"]["changed"], true);
}

#[test]
fn ten_terms_within_a_second_are_one_stop() {
    let (image, share) = (Image::new(), Share::new());
    let node = node(&image.options(), &["--volume", &share.volume()], MAIN);
    node.until_running();
    share.until("up");
    // It ignores TERM: without the further signals its grace period would be ten seconds.
    let inner = "trap 'touch /share/inner' TERM; sleep infinity & while :; do wait; done";
    node.inner_run(&Share::WITHIN, inner);
    let dockerd = Trace::of(&node, "dockerd");
    // From inside: ten calls of the client would take longer.
    sh(&node, "(for i in 1 2 3 4 5 6 7 8 9 10; do kill -TERM 1; sleep 0.1; done) >/dev/null 2>&1 &");
    assert_eq!(node.exit_status(), 42, "{}", node.log());
    assert_eq!(dockerd.terms().len(), 1, "dockerd gets one TERM, and no more");
    written(&share, "inner");
    image.assert_clean();
    let record = node.last_record();
    assert_eq!((&record["state"], &record["error"]), (&"stopped".into(), &serde_json::Value::Null));
}

#[test]
fn five_thousand_orphans_leave_no_zombie_and_do_not_hide_a_signal() {
    let share = Share::new();
    let script = "trap 'touch /share/main; exit 42' TERM
        for i in $(seq 5000); do (true &); done; touch /share/made
        while [ ! -e /share/storm ]; do sleep 0.05; done
        (while :; do (true &); done) & touch /share/up; wait";
    let node = Node::start(&["--volume", &share.volume()], &["sh", "-c", script]);
    node.until_running();
    node.inner_run(&["--name", "inner"], SLEEPS);
    share.until("made");
    until_no_zombies(&node);
    std::fs::write(share.path("storm"), "").unwrap();
    share.until("up");
    docker(&["kill", "--signal", "TERM", &node.name]).ok();
    assert_eq!(node.exit_status(), 42, "{}", node.log());
    let record = node.last_record();
    assert_eq!(record["documents"]["reaper"]["result"]["stopped"][0]["outcome"], "graceful");
    assert_eq!(record["state"], "stopped");
}

#[test]
fn an_idle_node_is_idle() {
    let node = Node::start(&[], &["sleep", "infinity"]);
    node.until_running();
    // Descriptors and processor time of PID 1, before and after a hundred processes that it has to reap.
    let state = || {
        let fds = sh(&node, "ls /proc/1/fd | wc -l");
        let stat = sh(&node, "cut -d ' ' -f 14,15 /proc/1/stat");
        let ticks: u64 = stat.split(' ').map(|field| field.parse::<u64>().unwrap()).sum();
        (fds, ticks)
    };
    let (fds, ticks) = state();
    sh(&node, "for i in $(seq 100); do (true &); done");
    until_no_zombies(&node);
    let (fds_later, ticks_later) = eventually("PID 1 is idle", LIMIT, || {
        let (before, after) = (state(), state());
        (before.1 == after.1).then_some(after)
    });
    assert_eq!(fds, fds_later, "descriptors of PID 1");
    assert!(ticks_later - ticks < 20, "{} hundredths of a second for 100 orphans", ticks_later - ticks);
}
