//! Nodes on a machine with AppArmor, whose engine gives containers the profile `docker-default`. Profiles are the machine's: its kernel
//! has one list of them, whatever runs in a node.

use super::SLOW;
use dind_tests::outer::Node;
use dind_tests::reduced::{RunFlags, start};
use std::io::Write;
use std::process::{Command, Stdio};

/// A profile that allows what a node does, and confines it.
const OF_A_NODE: &str = "profile dind-test-node flags=(attach_disconnected,mediate_deleted) {
    capability, network, file, mount, umount, pivot_root, ptrace, signal, dbus, unix,
}";

/// Loads one for good: the guest is thrown away.
fn load(profile: &str) {
    let mut parser = Command::new("apparmor_parser").arg("--replace").stdin(Stdio::piped()).spawn().unwrap();
    parser.stdin.take().unwrap().write_all(profile.as_bytes()).unwrap();
    assert!(parser.wait().unwrap().success());
}

/// How an inner container is confined: as its first process sees it, and as the engine in the node reports it.
pub(super) fn confinement(node: &Node, options: &[&str]) -> [String; 2] {
    let container = node.inner_run(options, "exec sleep 1000");
    let seen = node.inner(&["exec", &container, "cat", "/proc/1/attr/current"]);
    [seen, node.inner(&["inspect", "--format", "{{.AppArmorProfile}}", &container])]
}

/// The flags of a set without the one for AppArmor, which has to be there on this machine.
fn confined(run_flags: &RunFlags, set: &str) -> Vec<String> {
    let mut flags = run_flags.of(set);
    let at = flags.iter().position(|flag| flag == "apparmor=unconfined").expect("doctor sees AppArmor");
    flags.drain(at - 1..=at);
    flags
}

/// Before anything changes, and with the flag that helps: the nodes of `reduced` and `rootless` have it beside the same ones.
#[test]
fn a_node_that_may_not_mount_is_refused_with_the_flag_that_helps() {
    let run_flags = RunFlags::ask();
    for set in ["reduced", "rootless"] {
        let node = start(&confined(&run_flags, set), &[]);
        assert_eq!(node.exit_status(), 125, "{}", node.log());
        let cause = "the security module refuses mounts (`docker-default (enforce)`) (--security-opt apparmor=unconfined)";
        assert!(node.log().contains(cause), "{set}: {}", node.log());
    }
}

#[test]
fn inner_containers_have_the_machine_s_profile() {
    let node = Node::start(&[&SLOW[..], &["--privileged"]].concat(), &["sleep", "infinity"]);
    node.until_running();
    assert_eq!(confinement(&node, &[]), ["docker-default (enforce)", "docker-default"]);
    assert_eq!(confinement(&node, &["--security-opt", "apparmor=unconfined"]), ["unconfined"; 2]);
    assert_eq!(confinement(&node, &["--privileged"]), ["unconfined"; 2]);
}

/// A process that is confined gives others no profile of its choice.
#[test]
fn a_node_with_a_profile_of_its_own_passes_it_on() {
    load(OF_A_NODE);
    let own = [&SLOW[..], &["--security-opt", "apparmor=dind-test-node"]].concat();
    let node = start(&confined(&RunFlags::ask(), "reduced"), &own);
    node.until_running();
    assert_eq!(confinement(&node, &[]), ["dind-test-node (enforce)", ""]);
    let asked = ["--security-opt", "apparmor=docker-default"];
    assert_eq!(confinement(&node, &asked), ["dind-test-node (enforce)", ""]);
    assert_eq!(node.stop().0, 143, "{}", node.log());
}
