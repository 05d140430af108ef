//! What changes the machine's list of profiles, which other tests need: `cargo xtask test vm -- apparmor_alone::`.

use super::SLOW;
use super::apparmor::confinement;
use dind_tests::outer::{Node, docker, image, inner_image};
use dind_tests::reduced::RunFlags;
use std::fs;

/// Where the kernel shows its list, and takes names to remove.
const APPARMOR: &str = "/sys/kernel/security/apparmor";

/// Whether the machine's kernel has the profile of engines.
fn is_loaded() -> bool {
    let profiles = fs::read_to_string(format!("{APPARMOR}/profiles")).unwrap();
    profiles.lines().any(|line| line.starts_with("docker-default ("))
}

/// As on a machine whose engine is podman or containerd. (A container that the machine's engine confines would load it.)
#[test]
fn a_node_loads_no_profile_into_the_machine_s_kernel() {
    fs::write(format!("{APPARMOR}/.remove"), "docker-default").unwrap();
    let run_flags = RunFlags::ask();
    for set in ["privileged", "reduced"] {
        let flags = run_flags.of(set);
        let flags: Vec<_> = flags.iter().map(String::as_str).chain(SLOW).collect();
        let node = Node::of_image(&image(), &flags, &["sleep", "infinity"]);
        node.until_running();
        assert_eq!(confinement(&node, &[]), ["unconfined", ""], "{set}");
        let options = node.inner(&["info", "--format", "{{.SecurityOptions}}"]);
        assert!(!options.contains("apparmor"), "{set}: {options}");
        drop(node);
        assert!(!is_loaded(), "{set}");
    }
    docker(&["run", "--rm", &inner_image(), "true"]).ok();
    assert!(is_loaded(), "the machine's own engine loads it");
}
