//! The node's exit status is its main process' own, and what is cleaned up does not depend on it.

use crate::fixtures::sh;
use dind_tests::outer::{Node, Share, docker, image};

/// Starts a node again and again, each time with another script.
fn endings(cases: &[(&str, i32)]) {
    let share = Share::new();
    let node = {
        std::fs::write(share.path("script"), cases[0].0).unwrap();
        Node::start(&["--volume", &share.volume()], &["sh", "/share/script"])
    };
    for (index, (script, status)) in cases.iter().enumerate() {
        if index > 0 {
            std::fs::write(share.path("script"), script).unwrap();
            docker(&["start", &node.name]).ok();
        }
        assert_eq!(node.exit_status(), *status, "{script}: {}", node.log());
        let record = node.last_record();
        assert_eq!((&record["state"], &record["exit_status"]), (&"stopped".into(), &(*status).into()));
        assert_eq!(record["stages"].as_array().unwrap().last().unwrap()["name"], "release-storage");
    }
}

#[test]
fn every_exit_status_of_the_main_process_is_the_node_s() {
    endings(&[
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 77", 77),
        // What the launcher, the shell and Docker use themselves is main's all the same.
        ("exit 125", 125),
        ("exit 126", 126),
        ("exit 127", 127),
        ("exit 137", 137),
        ("exit 255", 255),
    ]);
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    endings(&[
        ("kill -HUP $$", 129),
        ("ulimit -c 0; kill -SEGV $$", 139),
        ("kill -KILL $$", 137),
        ("kill -34 $$", 162),
    ]);
}

#[test]
fn a_main_process_may_close_its_stdio_or_leave_children_behind() {
    endings(&[
        ("exec <&- >&- 2>&-; exit 7", 7),
        ("(trap '' TERM HUP; exec setsid sleep infinity) & exit 8", 8),
        ("setsid sh -c 'sleep infinity' & exit 9", 9),
    ]);
}

#[test]
fn a_node_runs_with_its_own_stdin_stdout_and_stderr_closed() {
    let share = Share::new();
    let script = "exec dind-launch run -- sh -c 'touch /share/up; sleep infinity' <&- >&- 2>&-";
    let options = ["--privileged", "--entrypoint", "sh", "--volume", &share.volume()];
    let node = Node::of_image(&image(), &options, &["-c", script]);
    node.until_running();
    share.until("up");
    // Descriptors that happened to be 0, 1 or 2 would be the engine's to write to.
    for fd in [0, 1, 2] {
        assert_eq!(sh(&node, &format!("readlink /proc/1/fd/{fd}")), "/dev/null");
    }
    assert_eq!(node.stop().0, 143);
}
