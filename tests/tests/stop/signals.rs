//! Stop signals: whatever `docker stop` sends stops a node.

use crate::fixtures::{
    Then, assert_asked, beside_others, outcomes, recorded_ends, start_inner, stop, until_up,
};
use dind_tests::outer::{LIMIT, Node, Share, docker, image};
use dind_tests::{eventually, promise};
use std::time::Duration;

/// What images and init systems ask for (systemd, nginx and php-fpm, HAProxy, LXC), and whether a main process that does not
/// catch it gets TERM in its place: the others may mean something else to it.
const SIGNALS: [(&str, i32, bool); 4] =
    [("SIGRTMIN+3", 37, true), ("SIGQUIT", 3, false), ("SIGUSR1", 10, false), ("SIGPWR", 30, true)];

/// Starts a node with that stop signal and an inner container, stops it, and checks that the stop was in order.
fn stop_with(signal: &str, command: &[&str], status: i32) {
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume(), "--stop-signal", signal], command);
    node.until_running();
    if !command.is_empty() {
        eventually("the main process is up", LIMIT, || share.path("main").exists().then_some(()));
    }
    start_inner(&node, "inner", &[], Then::End(0));
    until_up(&share, 1);
    let stopped = stop(&node);
    assert_eq!(stopped.status, status, "{signal}, {command:?}");
    promise(format!("docker stop by {signal}, {command:?}"), stopped.took, Duration::from_secs(9));
    assert_asked(&share, &["inner"], &stopped);
    let record = node.last_record();
    assert_eq!((&record["state"], outcomes(&record)["inner"].as_str()), (&"stopped".into(), "graceful"));
    assert_eq!(recorded_ends(&node)["inner"], "0");
}

#[test]
fn every_stop_signal_stops_a_node_without_a_main_process() {
    let _machine = beside_others();
    for (signal, ..) in SIGNALS {
        stop_with(signal, &[], 0);
    }
}

#[test]
fn every_stop_signal_stops_a_node_whose_main_process_knows_term_alone() {
    let _machine = beside_others();
    let main = ["sh", "-c", "trap 'exit 0' TERM; touch /share/main; sleep infinity & wait"];
    for (signal, number, becomes_term) in SIGNALS {
        stop_with(signal, &main, if becomes_term { 0 } else { 128 + number });
    }
}

#[test]
fn a_main_process_that_catches_the_stop_signal_gets_it() {
    let _machine = beside_others();
    for (signal, number, _) in SIGNALS {
        let main =
            format!("trap 'exit 1' TERM; trap 'exit 7' {number}; touch /share/main; sleep infinity & wait");
        stop_with(signal, &["sh", "-c", &main], 7);
    }
}

#[test]
fn the_image_s_stop_signal_is_term() {
    assert_eq!(docker(&["inspect", "--format", "{{.Config.StopSignal}}", &image()]).ok(), "SIGTERM");
}
