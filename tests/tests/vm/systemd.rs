//! systemd as the first process of an inner container, which is what kind's nodes are. `cargo xtask test vm -- systemd::`.

use super::SLOW;
use dind_tests::outer::{LIMIT, Node, docker};
use dind_tests::{eventually, scratch};
use std::fs::File;
use std::process::{Command, Stdio};

/// Made of the guest's own packages.
const MAKE: &str = include_str!("../../vm/systemd-image");

/// As kind starts its nodes, without the parts for Kubernetes.
const RUN: [&str; 12] = [
    "run",
    "--detach",
    "--privileged",
    "--cgroupns",
    "private",
    "--tmpfs",
    "/run",
    "--tmpfs",
    "/tmp",
    "--volume=/lib/modules:/lib/modules:ro",
    "--stop-signal",
    "SIGRTMIN+3",
];

/// Gives the node's engine an image with systemd.
fn import(node: &Node) {
    let directory = scratch();
    let archive = directory.path().join("systemd.tar");
    let made =
        Command::new("sh").args(["-c", MAKE]).stdout(File::create(&archive).unwrap()).status().unwrap();
    assert!(made.success());
    let mut client = Command::new("docker");
    client.args(["--host", &node.inner_host(), "import", "--change", "CMD [\"/usr/lib/systemd/systemd\"]"]);
    client.args(["--change", "ENV container=docker", "-", "systemd"]);
    let imported = client.stdin(File::open(&archive).unwrap()).stdout(Stdio::null()).status().unwrap();
    assert!(imported.success());
}

/// Until systemd has started what belongs to its target.
fn is_up(node: &Node, container: &str) {
    eventually("systemd is up", LIMIT, || {
        let state = node.inner_docker(&["exec", container, "systemctl", "is-system-running"]);
        (state.stdout == "running").then_some(())
    });
}

#[test]
fn systemd_runs_in_an_inner_container_and_the_node_s_stop_is_its_shutdown() {
    // Emulated, a halt takes longer than a node has by itself.
    let budget = ["--env", "DIND_STOP_BUDGET=60s"];
    let node = Node::start(&[SLOW, budget].concat(), &["sleep", "infinity"]);
    node.until_running();
    import(&node);
    let container = node.inner(&[&RUN[..], &["systemd"]].concat());
    is_up(&node, &container);

    // A unit with a limit of its own, below the container's group.
    node.inner(&["exec", &container, "systemctl", "start", "unit.service"]);
    let group = "/sys/fs/cgroup/system.slice/unit.service";
    let read = |file: &str| node.inner(&["exec", &container, "cat", &format!("{group}/{file}")]);
    assert_eq!(read("memory.max"), (32 << 20).to_string());
    assert_eq!(read("cgroup.procs").lines().count(), 1);

    // SIGRTMIN+3: systemd halts, for which the kernel ends the namespace's first process as if by SIGINT (reboot(2)).
    node.inner(&["stop", "--time", "60", &container]);
    let status = ["inspect", "--format", "{{.State.ExitCode}}", &container];
    assert_eq!(node.inner(&status), "130");
    node.inner(&["start", &container]);
    is_up(&node, &container);

    docker(&["stop", "--time", "70", &node.name]).ok();
    assert_eq!(node.exit_status(), 143, "{}", node.log());
    let record = node.last_record();
    let stopped = &record["documents"]["reaper"]["result"]["stopped"];
    let [one] = stopped.as_array().unwrap().as_slice() else { panic!("{record}") };
    assert_eq!((&one["outcome"], &one["exit_code"]), (&"graceful".into(), &130.into()), "{record}");
}
