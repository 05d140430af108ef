//! What such a node cannot have is said before anything changes, with the flag that helps.

use dind_tests::outer::{Volume, docker, image};
use dind_tests::reduced::{RunFlags, start};

/// The set without one flag of two words.
fn without(run_flags: &RunFlags, value: &str) -> Vec<String> {
    let flags = run_flags.of("rootless");
    let kept: Vec<_> =
        flags.chunks(2).filter(|pair| !pair[1].starts_with(value)).flatten().cloned().collect();
    assert_eq!(kept.len() + 2, flags.len(), "one of {flags:?} starts with {value}");
    kept
}

#[test]
fn each_missing_piece_is_named_with_what_helps() {
    let run_flags = RunFlags::ask();
    let all = || run_flags.of("rootless");
    for (flags, options, words) in [
        (without(&run_flags, "systempaths"), &[][..], "--security-opt systempaths=unconfined"),
        (without(&run_flags, "seccomp="), &[], "refuses mount, umount2, unshare, setns"),
        (all(), &["--volume", "/dev/null:/usr/bin/pasta:ro"], "passt"),
        (all(), &["--cap-drop", "SETUID"], "--cap-add SETUID"),
        (all(), &["--user", "1000"], "--user 0"),
        (all(), &["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"], "no link to the outer network"),
        (all(), &["--env", "DIND_USERNS=auto"], "expected `keep` or `unshare`"),
        (all(), &["--read-only"], "--read-only"),
    ] {
        let node = start(&flags, options);
        assert_eq!(node.exit_status(), 125, "{options:?}: {}", node.log());
        let log = node.log();
        assert!(log.contains(words), "{options:?} {words}: {log}");
        assert!(!log.contains("Starting up"), "no engine is started: {log}");
    }
}

/// Files of another kind of node would be nobody's in this one.
#[test]
fn a_data_root_of_another_kind_of_node_is_refused() {
    let volume = Volume::new();
    let mount = format!("{}:/var/lib/docker", volume.name);
    docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "mkdir",
        "--volume",
        &mount,
        &image(),
        "/var/lib/docker/overlay2",
    ])
    .ok();
    let node = start(&RunFlags::ask().of("rootless"), &["--volume", &mount]);
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    assert!(node.log().contains("does not belong to user 1879048192"), "{}", node.log());
}
