//! Nodes that make their own user namespace, on a host with cgroup v2 and an engine as it comes: in the guest, the control groups are
//! given to the node from outside, whichever driver the engine has.

use super::userns::escape::{inside, tried};
use super::userns::place::Place;
use super::userns::scene::{OPTIONS, Scene};
use dind_tests::cell::SLOW;
use dind_tests::outer::inner_image;
use dind_tests::reduced::{RunFlags, makes_a_whole_node, start};
use dind_tests::rootless::enter;

#[test]
fn the_set_makes_a_whole_node() {
    makes_a_whole_node("rootless");
}

/// The node has the groups below its own, and nothing of its own limits.
#[test]
fn a_node_divides_its_limits_and_does_not_lift_them() {
    let limits = ["--memory", "600m", "--pids-limit", "700"];
    let node = start(&RunFlags::ask().of("rootless"), &[&SLOW[..], &limits].concat());
    node.until_running();
    let group = "cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.subtree_control";
    let shown = enter(&node, group).ok();
    assert!(shown.starts_with("0::/init") && shown.contains("memory") && shown.contains("pids"), "{shown}");
    let inner = ["run", "--rm", "--memory", "64m", "--cpus", "0.5", &inner_image(), "cat"];
    let read = node.inner(&[&inner[..], &["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cpu.max"]].concat());
    assert_eq!(read, format!("{}\n50000 100000", 64 << 20));
    // cgroup-v2.rst, "Delegation": the files of a namespace's first group belong to the outside.
    let lifted = enter(&node, "echo max >/sys/fs/cgroup/memory.max || echo max >/sys/fs/cgroup/pids.max");
    assert_ne!(lifted.status, 0, "{lifted:?}");
    assert_eq!(enter(&node, "cat /sys/fs/cgroup/pids.max").ok(), "700");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

/// The attempts of the table, with the control of `userns::escape`.
#[test]
fn root_of_a_node_gets_nowhere() {
    let scene = Scene::set();
    let node = start(&RunFlags::ask().of("rootless"), &[&SLOW[..], &OPTIONS].concat());
    node.until_running();
    assert_eq!(tried(Place::entered("rootless", &node)), [""; 0]);
    let more = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"];
    assert_eq!(tried(inside(&node, "rootless, inner with SYS_ADMIN", &more).unwrap()), [""; 0]);
    drop(scene);
}
