//! An engine that hangs (SIGSTOP stands for a lock, or for a device that does not answer), or that has just died: its containers
//! have their signal and their time all the same.

use crate::fixtures::{Then, assert_asked, beside_others, forget, outcomes, start_inner, stop, until_up};
use dind_tests::outer::{Node, Share, docker};
use dind_tests::promise;
use std::time::Duration;

/// Sends a signal to a daemon of the launcher's record.
fn signal(node: &Node, signal: &str, daemon: &str) {
    let pid = node.record()[daemon].to_string();
    node.exec(&["kill", "-s", signal, &pid]).ok();
}

#[test]
fn containers_of_an_engine_that_hangs_or_has_died_have_their_signal() {
    let _machine = beside_others();
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume()], &[]);
    node.until_running();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|name| format!("inner-{name}"));
    for name in &names {
        start_inner(&node, name, &["--restart", "always"], Then::End(0));
    }
    for (round, (how, daemon)) in [
        ("STOP", "engine_pid"),
        ("STOP", "containerd_pid"),
        ("KILL", "engine_pid"),
        ("KILL", "containerd_pid"),
    ]
    .into_iter()
    .enumerate()
    {
        if round > 0 {
            docker(&["start", &node.name]).ok();
            node.until_running();
        }
        until_up(&share, names.len());
        signal(&node, how, daemon);
        let stopped = stop(&node);
        eprintln!("{how} of {daemon}: {:?}, status {}", stopped.took, stopped.status);
        promise("docker stop", stopped.took, Duration::from_secs(10));
        // A node that the outer engine had to kill ends with 137; what an engine left behind is no success.
        let expected = if (how, daemon) == ("STOP", "containerd_pid") { 0 } else { 125 };
        assert_eq!(stopped.status, expected, "{how} of {daemon}");
        assert_asked(&share, &names.each_ref().map(String::as_str), &stopped);
        let outcomes = outcomes(&node.last_record());
        assert_eq!(outcomes.len(), names.len(), "{how} of {daemon}: {outcomes:?}");
        assert!(outcomes.values().all(|outcome| outcome == "graceful"), "{how} of {daemon}: {outcomes:?}");
        forget(&share);
    }
}
