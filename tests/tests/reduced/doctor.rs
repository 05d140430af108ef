//! What `doctor` says of flags, in containers that have them and in containers that do not.

use dind_tests::outer::{LOOP, docker, image};
use dind_tests::reduced::{RUNC, RunFlags, start};
use dind_tests::scratch;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What `doctor` reports in a container with these flags: the exit status and the document.
fn examined(flags: &[String], options: &[&str]) -> (i32, Value) {
    let mut args = vec!["run", "--rm", "--entrypoint", "dind-launch"];
    args.extend(flags.iter().map(String::as_str).chain(options.iter().copied()));
    let image = image();
    let ended = docker(&[&args[..], &[&image, "doctor"]].concat());
    (ended.status, serde_json::from_str(&ended.stdout).expect(&ended.stderr))
}

#[test]
fn every_set_that_doctor_says_works_does() {
    let run_flags = RunFlags::ask();
    let alternatives = run_flags.document["result"]["run_flags"].as_array().unwrap();
    let works = alternatives.iter().filter(|one| one["works"] == true);
    let names: Vec<_> = works.map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"reduced"), "{alternatives:?}");
    for name in names {
        let (image, flags) = (image(), run_flags.of(name));
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        docker(&[&["run", "--rm", "--entrypoint", "true"], &flags[..], &[&image]].concat()).ok();
    }
}

#[test]
fn a_shell_reads_the_flags_as_they_are_listed() {
    let run_flags = RunFlags::ask();
    let output = run_flags.doctor(&["--output", "flags"]);
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap().lines().count(), 1);
    let script = "eval \"set -- $1\"; for word; do echo \"$word\"; done";
    let words = String::from_utf8(output.stdout).unwrap();
    let read = Command::new("sh").args(["-c", script, "sh", words.trim()]).output().unwrap();
    let read = String::from_utf8(read.stdout).unwrap();
    let best = run_flags.document["result"]["run_flags"].as_array().unwrap();
    let best = best.iter().find(|one| one["works"] == true).unwrap()["name"].as_str().unwrap();
    assert_eq!(read.lines().collect::<Vec<_>>(), run_flags.of(best)[RUNC.len()..]);
}

/// What the engine itself makes in a container's layer, for its volumes.
const MOUNT_POINTS: [&str; 5] =
    ["A /preload", "C /var", "C /var/lib", "A /var/lib/docker", "A /var/lib/mesos"];

/// Each piece that is left out is named with its flag, by `doctor` and by `run`, and nothing else is.
#[test]
fn every_missing_piece_is_named_before_anything_changes() {
    let run_flags = RunFlags::ask();
    let none = || RUNC.map(str::to_owned).to_vec();
    let loops = &LOOP[..];
    for (flags, options, causes) in [
        (
            run_flags.without("SYS_ADMIN"),
            &[][..],
            &["--cap-add SYS_ADMIN", "cgroup mounts are read-only"][..],
        ),
        (run_flags.without("NET_ADMIN"), &[], &["--cap-add NET_ADMIN"]),
        (run_flags.without("seccomp="), &[], &["keyctl, pivot_root, add_key, request_key"]),
        (run_flags.without("b 7:*"), loops, &["--device-cgroup-rule 'b 7:* rwm'"]),
        (run_flags.without("/dev/loop-control"), loops, &["--device /dev/loop-control"]),
        (run_flags.of("reduced"), &["--user", "1000"], &["--user 0"]),
        (run_flags.of("reduced"), &["--cap-drop", "MKNOD"], &["--cap-add MKNOD"]),
        (
            none(),
            loops,
            &[
                "--cap-add SYS_ADMIN",
                "--cap-add NET_ADMIN",
                "keyctl, add_key, request_key",
                "cgroup mounts are read-only",
                "--device /dev/loop-control",
                "--device-cgroup-rule 'b 7:* rwm'",
            ],
        ),
    ] {
        let (status, document) = examined(&flags, options);
        assert_eq!(status, 77, "{flags:?} {options:?}: {document}");
        let error = &document["error"];
        assert_eq!(error["code"], "node-cannot-work");
        let lines: Vec<_> =
            error["causes"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        for cause in causes {
            assert!(lines.iter().any(|line| line.contains(cause)), "{cause}: {lines:?}");
        }
        let missing: Vec<_> = lines.iter().filter(|line| !line.starts_with("also: ")).collect();
        let checks = error["details"]["checks"].as_array().unwrap();
        let listed = checks.iter().filter(|check| check["verdict"] == "missing").count();
        assert_eq!(listed, missing.len(), "{checks:?}");

        let node = start(&flags, options);
        assert_eq!(node.exit_status(), 125, "{flags:?} {options:?}: {}", node.log());
        let log = node.log();
        for line in missing {
            assert!(log.contains(&format!("dind-launch: cause: {line}\n")), "{line}: {log}");
        }
        assert_eq!(log.matches(": error: ").count(), 1, "{log}");
        let changed = docker(&["diff", &node.name]).ok();
        let changed: Vec<_> = changed.lines().filter(|line| !MOUNT_POINTS.contains(line)).collect();
        assert!(changed.is_empty(), "{flags:?} {options:?}: {changed:?}");
    }
}

#[test]
fn a_missing_piece_that_a_node_can_do_without_is_a_warning() {
    let run_flags = RunFlags::ask();
    let (status, document) = examined(&run_flags.without("b 7:*"), &[]);
    assert_eq!((status, &document["ok"]), (0, &true.into()), "{document}");
    let warnings = document["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|warning| warning["hint"].as_str().unwrap().contains("--device-cgroup-rule")),
        "{warnings:?}"
    );
}

#[test]
fn an_engine_that_is_too_old_is_named() {
    let directory = scratch();
    let program = directory.path().join("dockerd");
    fs::write(&program, "#!/bin/sh\necho Docker version 19.03.15, build 0\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let volume = format!("{}:/usr/local/bin/dockerd:ro", program.display());
    let (status, document) = examined(&RunFlags::ask().of("reduced"), &["--volume", &volume]);
    assert_eq!(status, 77, "{document}");
    let cause = "engine 19.03.15 is older than 20.10 (install Docker Engine 20.10 or newer in the image)";
    assert_eq!(document["error"]["causes"][0], cause, "{document}");
}
