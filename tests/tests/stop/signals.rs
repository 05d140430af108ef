//! Stop signals: whatever `docker stop` sends stops a node.

use crate::fixtures::{Share, Then, assert_asked, beside_others, outcomes, recorded_ends, start_inner, stop};
use dind_tests::outer::{LIMIT, Node, docker, image};
use dind_tests::{eventually, promise};
use std::time::Duration;

/// What images ask for: systemd's, nginx' and php-fpm's, some that nobody would expect.
const SIGNALS: [&str; 4] = ["SIGRTMIN+3", "SIGQUIT", "SIGUSR1", "SIGPWR"];

/// Starts a node with that stop signal and an inner container, stops it, and checks that the stop was in order.
fn stop_with(signal: &str, command: &[&str]) {
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume(), "--stop-signal", signal], command);
    node.until_running();
    if !command.is_empty() {
        eventually("the main process is up", LIMIT, || share.path("main").exists().then_some(()));
    }
    start_inner(&node, "inner", &[], Then::End(0));
    share.until_up(1);
    let stopped = stop(&node);
    assert_eq!(stopped.status, 0, "{signal}, {command:?}");
    promise(format!("docker stop by {signal}, {command:?}"), stopped.took, Duration::from_secs(9));
    assert_asked(&share, &["inner"], &stopped, &node);
    let record = node.last_record();
    assert_eq!((&record["state"], outcomes(&record)["inner"].as_str()), (&"stopped".into(), "graceful"));
    assert_eq!(recorded_ends(&node)["inner"], "0");
}

#[test]
fn every_stop_signal_stops_a_node_without_a_main_process() {
    let _machine = beside_others();
    for signal in SIGNALS {
        stop_with(signal, &[]);
    }
}

#[test]
fn every_stop_signal_stops_a_node_whose_main_process_ends_on_term() {
    let _machine = beside_others();
    let main = ["sh", "-c", "trap 'exit 0' TERM; touch /share/main; sleep infinity & wait"];
    for signal in SIGNALS {
        stop_with(signal, &main);
    }
}

#[test]
fn the_image_s_stop_signal_is_term() {
    assert_eq!(docker(&["inspect", "--format", "{{.Config.StopSignal}}", &image()]).ok(), "SIGTERM");
}
