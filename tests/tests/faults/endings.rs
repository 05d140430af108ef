//! The node's exit status is its main process' own, and the clean-up is the same whatever it is.

use crate::aid::{Share, last_record, sh};
use dind_tests::outer::{Node, docker};

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
        let record = last_record(&node);
        assert_eq!((&record["state"], &record["exit_status"]), (&"stopped".into(), &(*status).into()));
        assert_eq!(record["stages"].as_array().unwrap().last().unwrap()["name"], "release-storage");
    }
}

#[test]
fn of_every_kind_of_exit_status() {
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
fn of_death_by_a_signal() {
    endings(&[
        ("kill -HUP $$", 129),
        ("ulimit -c 0; kill -SEGV $$", 139),
        ("kill -KILL $$", 137),
        ("kill -34 $$", 162),
    ]);
}

#[test]
fn of_a_main_process_that_closes_its_stdio_or_leaves_children_behind() {
    endings(&[
        ("exec <&- >&- 2>&-; exit 7", 7),
        ("(trap '' TERM HUP; exec setsid sleep infinity) & exit 8", 8),
        ("setsid sh -c 'sleep infinity' & exit 9", 9),
    ]);
}

#[test]
fn of_a_node_whose_own_stdin_stdout_and_stderr_are_closed() {
    let share = Share::new();
    let script = "exec dind-launch run -- sh -c 'touch /share/up; sleep infinity' <&- >&- 2>&-";
    let options = ["--privileged", "--entrypoint", "sh", "--volume", &share.volume()];
    let node = Node::of_image(&dind_tests::outer::image(), &options, &["-c", script]);
    node.until_running();
    share.until("up");
    // Descriptors that happened to be 0, 1 or 2 would be the engine's to write to.
    for fd in [0, 1, 2] {
        assert_eq!(sh(&node, &format!("readlink /proc/1/fd/{fd}")), "/dev/null");
    }
    assert_eq!(node.stop().0, 143);
}
