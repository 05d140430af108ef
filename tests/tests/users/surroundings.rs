//! /tmp, read-only roots, mount flags, limits and terminals.

use dind_tests::outer::{Node, SLEEP, Volume, image, inner_image};
use serde_json::Value;

fn kind_of_tmp(node: &Node) -> String {
    node.exec(&["stat", "--file-system", "--format", "%T", "/tmp"]).ok()
}

#[test]
fn a_large_file_in_tmp_takes_disk_and_no_memory() {
    let node = Node::start(&["--memory", "512m"], SLEEP);
    node.until_running();
    assert_ne!(kind_of_tmp(&node), "tmpfs");
    node.exec(&["dd", "if=/dev/zero", "of=/tmp/large", "bs=1M", "count=700"]).ok();
    node.exec(&["dind-launch", "status", "--healthy"]).ok();
}

#[test]
fn tmp_is_memory_where_that_is_asked_for_and_what_the_user_mounted_stays() {
    let asked = Node::start(&["--env", "DIND_TMP=tmpfs:64MiB"], SLEEP);
    asked.until_running();
    assert_eq!(kind_of_tmp(&asked), "tmpfs");
    assert_eq!(asked.exec(&["sh", "-c", "df -m /tmp | tail -n 1 | awk '{print $2}'"]).ok(), "64");
    let volume = Volume::new();
    let mount = format!("{}:/tmp", volume.name);
    let mounted = Node::start(&["--env", "DIND_TMP=tmpfs", "--volume", &mount], SLEEP);
    let warnings = mounted.until_running().record()["documents"]["prepare"]["warnings"].to_string();
    assert_ne!(kind_of_tmp(&mounted), "tmpfs");
    assert!(warnings.contains("/tmp stays as it is"), "{warnings}");
}

#[test]
fn a_read_only_root_needs_two_tmpfs_and_the_flag_is_named() {
    let read_only = ["--read-only", "--tmpfs", "/run", "--tmpfs", "/tmp"];
    let node = Node::start(&read_only, SLEEP);
    node.until_running();
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    assert_eq!(node.stop().0, 143, "{}", node.log());
    let without = Node::start(&["--read-only"], SLEEP);
    assert_eq!(without.exit_status(), 125);
    assert!(without.log().contains("--tmpfs /run"), "{}", without.log());
}

#[test]
fn flags_of_the_data_root_s_mount_are_named_with_their_effect() {
    // What `docker run --tmpfs` mounts is noexec, nosuid and nodev.
    let node = Node::start(&["--tmpfs", "/var/lib/docker"], SLEEP);
    let warnings = node.until_running().record()["documents"]["storage"]["warnings"].take();
    let warning = warnings.as_array().unwrap().iter().find(|warning| warning["code"] == "mount-flags");
    let message = warning.unwrap()["message"].as_str().unwrap();
    assert!(message.contains("noexec") && message.contains("volumes"), "{message}");
    let copy = "cp /bin/busybox /v/busybox; /v/busybox true";
    let run = ["run", "--rm", "--volume", "volume:/v", &inner_image(), "sh", "-c", copy];
    assert_eq!(node.inner_docker(&run).status, 126, "as the warning says");
    let vfs = Node::start(
        &[
            "--tmpfs",
            "/var/lib/docker",
            "--env",
            "DIND_STORAGE_DRIVER=vfs",
            "--env",
            "DIND_STORAGE_BACKING=native",
        ],
        SLEEP,
    );
    assert_eq!(vfs.exit_status(), 125);
    assert!(vfs.log().contains("noexec"), "{}", vfs.log());
}

#[test]
fn a_loop_image_warns_of_no_propagation_that_nobody_has_asked_for() {
    let node = Node::start(&["--env", "DIND_STORAGE_BACKING=loop", "--env", "VAR_LIB_DOCKER_SIZE=1"], SLEEP);
    let storage = node.until_running().record()["documents"]["storage"].take();
    assert_eq!(storage["result"]["backing"], "loop");
    assert!(!storage["warnings"].to_string().contains("propagation"), "{}", storage["warnings"]);
}

#[test]
fn limits_that_are_too_low_are_named_with_their_flag() {
    let limits =
        ["--pids-limit", "200", "--memory", "200m", "--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1000"];
    let options = [&["--privileged", "--entrypoint", "dind-launch"], &limits[..]].concat();
    let node = Node::of_image(&image(), &options, &["doctor"]);
    assert_eq!(node.exit_status(), 0, "{}", node.log());
    let document: Value =
        serde_json::from_str(node.log().lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
    let checks = document["result"]["checks"].as_array().unwrap();
    for (name, flag) in [
        ("processes", "--pids-limit"),
        ("memory", "--memory"),
        ("open files", "--ulimit nofile"),
        ("processes of a user", "--ulimit nproc"),
    ] {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        assert!(check["verdict"] == "degraded" && check["hint"].as_str().unwrap().contains(flag), "{check}");
    }
}

#[test]
fn the_engine_s_log_stays_out_of_a_terminal_that_the_main_process_has() {
    let node = Node::start(&["--tty"], SLEEP);
    node.until_running();
    let log = node.log();
    assert!(log.contains("the engine's log is in /var/log/docker.log"), "{log}");
    assert!(!log.contains("level=info"), "{log}");
    assert!(node.exec(&["cat", "/var/log/docker.log"]).ok().contains("level=info"));
    let asked = Node::start(&["--tty", "--env", "LOG=stdio"], SLEEP);
    asked.until_running();
    assert!(asked.log().contains("level=info"), "{}", asked.log());
}

#[test]
fn on_a_terminal_an_error_stands_once() {
    let script = "dind-launch reload";
    let node = Node::of_image(&image(), &["--tty", "--entrypoint", "sh"], &["-c", script]);
    assert_eq!(node.exit_status(), 69);
    let log = node.log();
    assert!(log.contains("dind-launch: error: ") && !log.contains("\"schema\""), "{log}");
    let asked = Node::of_image(
        &image(),
        &["--tty", "--entrypoint", "sh"],
        &["-c", &format!("{script} --output json")],
    );
    assert_eq!(asked.exit_status(), 69);
    assert!(asked.log().contains("\"schema\""), "{}", asked.log());
}

#[test]
fn a_log_file_that_cannot_be_written_to_is_named_with_the_way_out() {
    // What Docker makes of a missing file on the host.
    let script = "mkdir /var/log/docker.log && exec dind-launch run";
    let options = ["--privileged", "--env", "LOG=file", "--entrypoint", "sh"];
    let node = Node::of_image(&image(), &options, &["-c", script]);
    assert_eq!(node.exit_status(), 125);
    let log = node.log();
    assert!(log.contains("cannot open `/var/log/docker.log`: Is a directory"), "{log}");
    assert!(log.contains("LOG=stdio needs none"), "{log}");
}
