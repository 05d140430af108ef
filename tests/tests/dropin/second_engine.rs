//! A second dockerd that somebody starts in a node: it is refused, and the first one runs on.

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, inner_image};

#[test]
fn a_dockerd_of_the_main_process_ends_at_once_and_the_node_s_engine_runs_on() {
    let script = "dockerd >/second.log 2>&1; echo $? >/second; exec sleep infinity";
    let node = Node::start(&[], &["sh", "-c", script]);
    node.until_running();
    let before = node.record()["engine_pid"].take();
    let status = eventually("the second dockerd has ended", LIMIT, || {
        Some(node.exec(&["cat", "/second"])).filter(|read| read.status == 0).map(|read| read.stdout)
    });
    let log = node.exec(&["cat", "/second.log"]).ok();
    assert_eq!(status, "1", "{log}");
    assert!(log.contains("/var/run/docker.pid"), "{log}");
    assert_eq!(node.record()["engine_pid"], before);
    assert_eq!(node.exec(&["dind-launch", "status", "--healthy"]).status, 0);
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn an_entrypoint_of_the_main_process_is_refused_by_name() {
    let script = "dockerd-entrypoint.sh --debug >/second.log 2>&1; echo $? >/second; exec sleep infinity";
    let node = Node::start(&[], &["sh", "-c", script]);
    node.until_running();
    let status = eventually("the second entrypoint has ended", LIMIT, || {
        Some(node.exec(&["cat", "/second"])).filter(|read| read.status == 0).map(|read| read.stdout)
    });
    let log = node.exec(&["cat", "/second.log"]).ok();
    assert_eq!(status, "125", "{log}");
    assert!(log.contains("another dind-launch runs in this container, as its PID 1"), "{log}");
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
}
