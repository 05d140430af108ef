//! `wait` in a node: as `docker exec`, from the first moment on, and in a container that is started again.

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, SLEEP, ShellImage, docker, inner_image, readme_entrypoint};
use serde_json::Value;

fn wait(node: &Node, more: &[&str]) -> (i32, Value) {
    let done = node.exec(&[&["dind-launch", "wait"], more].concat());
    (done.status, serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}")))
}

#[test]
fn the_first_command_after_docker_run_may_be_a_wait() {
    let node = Node::start(&[], SLEEP);
    // The second life has the record of the first.
    for life in 1..=2 {
        let (status, report) = wait(&node, &[]);
        assert_eq!((status, &report["result"]["outcome"]), (0, &"ready".into()), "{report}");
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello", "life {life}");
        assert_eq!(node.stop().0, 143);
        docker(&["start", &node.name]).ok();
    }
}

#[test]
fn a_wait_sees_the_engine_of_a_shell_entrypoint() {
    let shell = ShellImage::build(&readme_entrypoint());
    let node = Node::of_image(&shell.name, &["--privileged"], SLEEP);
    let (status, report) = wait(&node, &["--timeout", "2m"]);
    assert_eq!((status, &report["result"]["state"]), (0, &"external".into()), "{report}");
    assert_eq!(node.inner(&["ps", "--quiet"]), "");
}

#[test]
fn a_wait_blocks_without_looking() {
    // A preload that never ends keeps the node in its start.
    let script =
        "mkdir /never; mkfifo /never/a.tar; exec env DIND_PRELOAD=/never dind-launch run -- sleep infinity";
    let node = Node::start(&["--entrypoint", "sh"], &["-c", script]);
    eventually("the preload is under way", LIMIT, || {
        let status = node.exec(&["dind-launch", "status"]);
        status.stdout.contains(r#""name":"preload""#).then_some(())
    });
    let script = "dind-launch wait >/waited 2>&1 & echo $!";
    let pid = node.exec(&["sh", "-c", script]).ok();
    let switches = || {
        let text = node.exec(&["cat", &format!("/proc/{pid}/status")]).ok();
        let line = text.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
    };
    eventually("it waits", LIMIT, || {
        let wchan = node.exec(&["cat", &format!("/proc/{pid}/wchan")]).stdout;
        wchan.contains("poll").then_some(())
    });
    let (before, mut after) = (switches(), 0);
    // Each look takes a docker exec, tens of milliseconds: a second or more in all.
    for _ in 0..20 {
        after = switches();
    }
    assert_eq!(before, after, "nothing has changed, and it has woken up");
}
