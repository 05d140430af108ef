//! A node whose log nobody reads, or whose reader has gone.

use crate::fixtures::{SLEEPS, really_running, sh};
use dind_tests::outer::{Node, Share, image};

/// A node whose stdout and stderr are a pipe, with `reader` at the other end. Its main process fills the pipe through a
/// descriptor of its own, which does not block; those of the others do.
fn node_on_a_pipe(share: &Share, reader: &str) -> Node {
    let main = "trap 'exit 42' TERM; dd if=/dev/zero of=/pipe bs=4096 count=64 oflag=nonblock 2>/dev/null; \
                touch /share/up; sleep infinity & wait";
    let script =
        format!("mkfifo /pipe; {reader} </pipe & exec dind-launch run -- sh -c \"{main}\" >/pipe 2>&1");
    let volume = share.volume();
    let options =
        ["--privileged", "--entrypoint", "sh", "--volume", &volume, "--env", "DOCKER_DAEMON_ARGS=--debug"];
    let node = Node::of_image(&image(), &options, &["-c", &script]);
    node.until_running();
    share.until("up");
    node
}

const READERS: [&str; 2] = ["sleep infinity", "true"];

#[test]
fn a_node_whose_log_nobody_reads_serves_and_stops() {
    for reader in READERS {
        let share = Share::new();
        let node = node_on_a_pipe(&share, reader);
        node.inner_run(&["--name", "inner"], SLEEPS);
        assert_eq!(really_running(&node), ["inner"], "{reader}");
        node.exec(&["dind-launch", "status", "--healthy"]).ok();
        assert_eq!(node.stop().0, 42, "{reader}");
    }
}

#[test]
fn the_launcher_s_last_lines_do_not_block_its_end() {
    for reader in READERS {
        let share = Share::new();
        let node = node_on_a_pipe(&share, reader);
        let engine = node.record()["engine_pid"].as_i64().unwrap();
        sh(&node, &format!("kill -KILL {engine}"));
        assert_eq!(node.exit_status(), 125, "{reader}");
    }
}
