//! Nodes in user namespaces on an engine whose cgroup driver is cgroupfs: their groups stay the machine's.

use dind_tests::cell::SLOW;
use dind_tests::outer::{LIMIT, Node, docker, image, inner_image};
use dind_tests::reduced::{RunFlags, start};
use dind_tests::{eventually, unique};
use serde_json::json;
use std::os::unix::fs::chown;
use std::path::PathBuf;

/// Root of the node, outside.
const OWNER: u32 = 165_536;

#[test]
fn a_node_whose_group_is_the_machine_s_names_the_driver_that_helps() {
    let flags = RunFlags::ask();
    let first = &flags.document["result"]["run_flags"][0];
    assert_eq!((&first["works"], &first["possible"]), (&json!(false), &json!(true)), "{first}");
    assert!(first["why"].as_str().unwrap().contains("cgroup driver is cgroupfs"), "{first}");
    let wanted = json!({ "userns-remap": "default", "exec-opts": ["native.cgroupdriver=systemd"] });
    assert_eq!(first["daemon_json"], wanted);

    let node = start(&flags.of("userns"), &SLOW);
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    let log = node.log();
    assert!(log.contains("cause: the container's cgroup belongs to another user"), "{log}");
    assert!(log.contains("\"exec-opts\": [\"native.cgroupdriver=systemd\"]"), "{log}");
    assert!(log.contains(&format!("chown {OWNER} ")) && !log.contains("--privileged"), "{log}");

    // A shell script without the launcher gets the same hint.
    let script =
        ["run", "--rm", "--cap-add", "SYS_ADMIN", "--entrypoint", "dind-launch", &image(), "prepare"];
    let prepared = docker(&script);
    assert!(prepared.status == 74 && prepared.stderr.contains("native.cgroupdriver=systemd"), "{prepared:?}");
}

/// The other way that the hint names: the host gives the group away while the node's entrypoint waits for it.
#[test]
fn a_group_that_the_host_gives_away_carries_a_node() {
    let wait = "until [ -w /sys/fs/cgroup/cgroup.procs ]; do sleep 0.1; done; exec dind-launch run -- sleep infinity";
    let run_flags = RunFlags::ask();
    let flags = run_flags.of("userns");
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(SLOW).chain(["--entrypoint", "sh"]).collect();
    let node = Node::of_image(&image(), &flags, &["-c", wait]);
    let id = docker(&["inspect", "--format", "{{.Id}}", &node.name]).ok();
    let group = PathBuf::from(format!("/sys/fs/cgroup/docker/{id}"));
    eventually("the node's group is there", LIMIT, || group.exists().then_some(()));
    for file in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
        chown(group.join(file), Some(OWNER), None).unwrap();
    }
    node.until_running();
    let limit = ["run", "--rm", "--name", &unique("limited"), "--memory", "64m"];
    let read = node.inner(&[&limit[..], &[&inner_image(), "cat", "/sys/fs/cgroup/memory.max"]].concat());
    assert_eq!(read, (64 << 20).to_string());
}
