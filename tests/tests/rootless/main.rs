//! Nodes that make their own user namespace: the set `rootless` of `doctor --run-flags`, with the plain runc and no added capability.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod network;
mod refused;

use dind_tests::outer::{LIMIT, Node, Volume, docker, inner_image};
use dind_tests::reduced::{self, RunFlags, start};
use dind_tests::rootless::enter;
use dind_tests::{eventually, unique};
use serde_json::Value;
use std::fs;

fn node(options: &[&str]) -> Node {
    let node = start(&RunFlags::ask().of("rootless"), options);
    node.until_running();
    node
}

#[test]
fn the_set_makes_a_whole_node() {
    reduced::makes_a_whole_node("rootless");
}

/// Root of the node is an ordinary user of the machine. What it writes to are its own files; programs are not.
#[test]
fn root_of_the_node_is_nobody_outside_and_owns_no_programs() {
    let node = node(&[]);
    let process = node.process().unwrap();
    let status = fs::read_to_string(process.join("status")).unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    assert_eq!(effective, "00000000a80425fb", "outside, it is Docker's default");
    let map = enter(&node, "cat /proc/self/uid_map").ok();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "1879048192", "65536"]);
    let writes = "for d in / /usr /usr/bin /usr/local/bin /etc /root /home /var/lib /run /tmp; do \
                  if (>$d/mark) 2>/dev/null; then echo $d; fi; done";
    let writable = enter(&node, writes).ok();
    let expected = ["/etc", "/root", "/home", "/var/lib", "/run", "/tmp"];
    assert_eq!(writable.lines().collect::<Vec<_>>(), expected);
    // Outside, where the engine starts programs as the machine's root, none of it is seen but for the two that hold no programs.
    let seen = node.exec(&["sh", "-c", "ls -d /*/mark /var/lib/mark 2>/dev/null; true"]).ok();
    assert_eq!(seen.lines().collect::<Vec<_>>(), ["/run/mark", "/tmp/mark"]);
    // Settings of the machine belong to another root.
    let denied = enter(&node, "cat /proc/sys/kernel/core_pattern >/proc/sys/kernel/core_pattern");
    assert!(denied.status != 0 && denied.stderr.contains("Permission denied"), "{denied:?}");
}

/// The node survives a restart, a kill and a start with what it has, and its own `doctor` finds nothing missing.
#[test]
fn a_node_comes_back_after_a_restart_and_a_kill() {
    let node = node(&[]);
    enter(&node, "echo kept >/etc/kept").ok();
    let id = node.inner_run(&["--restart", "always"], "exec sleep 1000");
    node.comes_back_after_a_restart_and_a_kill(&id, || {
        assert_eq!(enter(&node, "cat /etc/kept").ok(), "kept");
    });
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

/// Builds, volumes, other users, and limits of what the launcher outside has given.
#[test]
fn inner_containers_are_built_and_keep_their_volumes() {
    let node = node(&[]);
    let script = format!(
        "printf 'FROM {}\\nRUN echo built >/built && chown 7:7 /built\\n' | docker build -q -t built - >/dev/null && \
         docker run --rm built stat -c '%u %n' /built && docker run --rm -v kept:/kept built sh -c 'echo v >/kept/v' && \
         docker run --rm -v kept:/kept --user 1000 built cat /kept/v",
        inner_image()
    );
    assert_eq!(enter(&node, &script).ok(), "7 /built\nv");
    let examined: Value = serde_json::from_str(&node.exec(&["dind-launch", "doctor"]).ok()).unwrap();
    let checks = examined["result"]["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "user namespace"), "doctor looks inside: {checks:?}");
}

/// The main process has the container's streams and status, and gets the signal that the node gets.
#[test]
fn the_main_process_is_that_of_the_container() {
    let run_flags = RunFlags::ask();
    let flags = run_flags.of("rootless");
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let script = "echo out >/dev/stdout; echo err >/dev/stderr; trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    let node = Node::of_image(&dind_tests::outer::image(), &flags, &["sh", "-c", script]);
    node.until_running();
    eventually("it is ready", LIMIT, || node.log().contains("ready").then_some(()));
    assert_eq!(node.stop().0, 7, "{}", node.log());
    let log = docker(&["logs", &node.name]);
    assert!(log.stdout.contains("out\n") && log.stderr.contains("err"), "{log:?}");
}

/// A volume of an earlier node of the kind is the next one's, images included.
#[test]
fn a_data_root_passes_from_node_to_node() {
    let volume = Volume::new();
    let mount = format!("{}:/var/lib/docker", volume.name);
    let name = unique("kept");
    let first = node(&["--volume", &mount]);
    first.inner(&["volume", "create", &name]);
    assert_eq!(first.stop().0, 143, "{}", first.log());
    let second = node(&["--volume", &mount]);
    assert_eq!(second.inner(&["volume", "ls", "--quiet"]), name);
}
