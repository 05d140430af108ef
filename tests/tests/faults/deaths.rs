//! The death of an engine is told with what the cgroup and the filesystem know of it.

use crate::fixtures::Image;
use dind_tests::outer::{Node, SLEEP};
use serde_json::Value;

/// The error of a node that has ended with its engine.
fn error_of(node: &Node) -> Value {
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    let error = node.last_record()["error"].take();
    assert_eq!(error["code"], "engine-died", "{}", node.log());
    error
}

fn assert_told(error: &Value, cause: &str, hint: &str) {
    let causes = error["causes"].as_array().unwrap().iter().filter_map(Value::as_str);
    assert!(causes.into_iter().any(|text| text.contains(cause)), "{error}");
    assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
}

#[test]
fn an_engine_that_the_kernel_killed_for_memory_is_reported_as_that() {
    let node = Node::start(&["--memory", "256m", "--memory-swap", "256m"], SLEEP);
    node.until_running();
    // Of those that may be killed, this one is the first.
    let first = format!("echo 1000 >/proc/{}/oom_score_adj", node.record()["engine_pid"]);
    let _ = node.exec(&["sh", "-ec", &format!("{first}; exec tail /dev/zero")]);
    assert_told(&error_of(&node), "(oom_kill)", "--memory");
}

#[test]
fn an_engine_that_may_start_no_thread_is_reported_as_that() {
    let node = Node::start(&["--pids-limit", "16"], SLEEP);
    assert_told(&error_of(&node), "(pids.events)", "--pids-limit");
}

#[test]
fn an_engine_on_a_filesystem_that_has_become_read_only_is_reported_as_that() {
    let image = Image::new();
    let options = image.options();
    let node = Node::start(&options.iter().map(String::as_str).collect::<Vec<_>>(), SLEEP);
    node.until_running();
    // The kernel's own way to pretend that it has met an error, which makes the file system read-only.
    let broken = "echo broken >/sys/fs/ext4/$(basename $(findmnt -no SOURCE /srv/docker))/trigger_fs_error";
    let killed = format!("kill -s KILL {}", node.record()["engine_pid"]);
    node.exec(&["sh", "-ec", &format!("{broken}; {killed}")]).ok();
    assert_told(&error_of(&node), "(EROFS)", "dmesg");
}
