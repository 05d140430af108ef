//! `docker stop` of a node, and the exit status that comes out of it.

use crate::REPORTS_TERM;
use dind_tests::outer::{LIMIT, Node};
use dind_tests::{eventually, promise, scratch};
use std::fs;
use std::time::Duration;

#[test]
fn a_stop_reaches_every_inner_container_and_keeps_the_main_process_status() {
    let share = scratch();
    let volume = format!("{}:/share", share.path().display());
    let main = "trap 'exit 42' TERM; while :; do sleep 0.05; done";
    let node = Node::start(&["--volume", &volume], &["sh", "-c", main]);
    node.until_running();
    for _ in 0..3 {
        node.inner_run(&["--volume", "/share:/share"], REPORTS_TERM);
    }
    let names = |prefix: &str| {
        let files =
            fs::read_dir(share.path()).unwrap().flatten().map(|file| file.file_name().into_string().unwrap());
        files.filter(|name| name.starts_with("up-") == (prefix == "up-")).count()
    };
    eventually("three inner containers are up", LIMIT, || (names("up-") == 3).then_some(()));
    let (status, took) = node.stop();
    assert_eq!(status, 42, "{}", node.log());
    assert_eq!(names(""), 3, "each inner container got TERM: {}", node.log());
    promise("docker stop", took, Duration::from_secs(9));
}

#[test]
fn inner_containers_that_ignore_term_do_not_cost_the_main_process_its_status() {
    let node = Node::start(&[], &["sh", "-c", "trap 'exit 42' TERM; while :; do sleep 0.05; done"]);
    node.until_running();
    for _ in 0..3 {
        node.inner_run(&[], "trap '' TERM; while :; do sleep 0.05; done");
    }
    let (status, took) = node.stop();
    assert_eq!(status, 42, "{}", node.log());
    promise("docker stop", took, Duration::from_millis(9_500));
}

#[test]
fn the_exit_status_is_the_main_process_own() {
    for (command, expected) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["/etc/passwd"], 126),
        (&["no-such-command"], 127),
        (&["sh", "-c", "kill -TERM $$"], 143),
    ] {
        let node = Node::start(&[], command);
        assert_eq!(node.exit_status(), expected, "{command:?}: {}", node.log());
    }
}
