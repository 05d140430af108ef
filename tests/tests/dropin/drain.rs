//! `drain`, as a preStop hook calls it.

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, SLEEP, setting};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};

fn drain(node: &Node, more: &[&str]) -> Child {
    let mut command = Command::new("docker");
    command.args(["--host", &setting("DIND_TEST_DOCKER_HOST"), "exec", &node.name, "dind-launch", "drain"]);
    command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> (i32, Value) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}")))
}

/// Waits until a drain of the node asks its engine.
fn until_draining(node: &Node) -> String {
    eventually("a drain runs", LIMIT, || {
        let found = node.exec(&["pgrep", "--full", "dind-reaper drain"]);
        (found.status == 0).then_some(found.stdout)
    })
}

#[test]
fn a_drain_ends_with_the_last_container_and_those_that_start_meanwhile_count() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    node.inner_run(&["--name", "first", "--rm"], "sleep 600");
    let mut draining = drain(&node, &[]);
    until_draining(&node);
    node.inner_run(&["--name", "second"], "sleep 600");
    node.inner(&["kill", "first"]);
    eventually("first is gone", LIMIT, || {
        (node.inner(&["ps", "--all", "--quiet", "--filter", "name=first"]).is_empty()).then_some(())
    });
    assert!(draining.try_wait().unwrap().is_none(), "second still runs");
    node.inner(&["kill", "second"]);
    let (status, report) = ended(draining);
    assert_eq!((status, &report["result"]["left"]), (0, &json!([])), "{report}");
    // The engine goes on.
    assert_eq!(node.exec(&["dind-launch", "status", "--healthy"]).status, 0);
    assert_eq!(ended(drain(&node, &["--timeout", "1s"])).0, 0, "nothing to wait for");
}

#[test]
fn a_timeout_and_a_signal_say_what_is_left() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let id = node.inner_run(&["--name", "web"], "sleep 600");
    let (status, report) = ended(drain(&node, &["--timeout", "200ms"]));
    assert_eq!((status, &report["error"]["code"]), (75, &json!("containers-left")), "{report}");
    assert_eq!(report["error"]["details"]["left"], json!([{"id": id, "name": "web"}]), "{report}");
    let draining = drain(&node, &[]);
    until_draining(&node);
    node.exec(&["pkill", "--full", "dind-launch drain"]).ok();
    let (status, report) = ended(draining);
    assert_eq!((status, &report["error"]["code"]), (75, &json!("containers-left")), "{report}");
    assert!(report["error"]["message"].as_str().unwrap().ends_with("a signal ended the wait"), "{report}");
    assert_eq!(node.inner(&["ps", "--quiet", "--no-trunc"]), id, "it stops nothing");
}

#[test]
fn an_engine_that_is_gone_is_drained() {
    let node = Node::start(&["--env", "DIND_ENGINE_RESTART=on-failure"], SLEEP);
    node.until_running();
    let drained =
        node.exec(&["dind-reaper", "drain", "--host", "unix:///nowhere.sock", "--data-root", "/nowhere"]);
    let report: Value = serde_json::from_str(&drained.stdout).unwrap();
    assert_eq!((drained.status, &report["result"]["left"]), (0, &json!([])), "{report}");
    // Its containers run on without it: they are waited for by their processes.
    node.inner_run(&["--name", "orphan"], "sleep 600");
    let args = ["dind-reaper", "drain", "--host", "unix:///nowhere.sock", "--timeout", "200ms"];
    let left: Value = serde_json::from_str(&node.exec(&args).stdout).unwrap();
    assert_eq!(left["error"]["details"]["left"][0]["name"], "orphan", "{left}");
}
