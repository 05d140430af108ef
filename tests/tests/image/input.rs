//! What users set: limits, engine arguments, and values that are invalid.

use dind_tests::outer::{Node, SLEEP, image, inner_image};

#[test]
fn limits_of_inner_containers_hold() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let file = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max";
    let script = format!("cat {file} 2>/dev/null; true");
    let limit = node.inner(&["run", "--rm", "--memory", "64m", &inner_image(), "sh", "-c", &script]);
    assert_eq!(limit, (64 << 20).to_string());
}

#[test]
fn daemon_args_and_the_log_file_are_honoured() {
    let options = ["--env", "DOCKER_DAEMON_ARGS=--label 'made by=test' --debug", "--env", "LOG=file"];
    let node = Node::start(&options, SLEEP);
    node.until_running();
    assert_eq!(node.inner(&["info", "--format", "{{.Labels}} {{.Debug}}"]), "[made by=test] true");
    let log = node.exec(&["cat", "/var/log/docker.log"]).ok();
    assert!(log.contains("API listen on"), "{log}");
    assert!(!node.log().contains("API listen on"), "{}", node.log());
}

#[test]
fn invalid_input_is_one_error_with_a_hint() {
    let privileged = "--privileged";
    for (options, text) in [
        (&[privileged, "--env", "VAR_LIB_DOCKER_SIZE=abc"][..], "size-invalid"),
        (&[privileged, "--env", "DIND_STORAGE_DRIVER=zip"], "driver-unknown"),
        (&[privileged, "--env", "DOCKER_NETWORK_OFFSET=1.2.3"], "offset-invalid"),
        (
            &[privileged, "--env", "DOCKER_NETWORK_OFFSET=0.0.1.0", "--env", "DOCKER_NETWORK_SIZE=33"],
            "size-invalid",
        ),
        (&[privileged, "--env", "DOCKER_NETWORK_OFFSET=0.0.0.0"], "range-holds-gateway"),
        (&[privileged, "--env", "DOCKER_DAEMON_ARGS=--no-such-flag"], "unknown flag: --no-such-flag"),
        (&[privileged, "--user", "1000"], "the caller is not root"),
        (&[], "CAP_SYS_ADMIN is missing"),
    ] {
        let node = Node::of_image(&image(), options, SLEEP);
        assert_eq!(node.exit_status(), 125, "{options:?}: {}", node.log());
        let log = node.log();
        assert!(log.contains(text), "{options:?}: {log}");
        assert_eq!(log.matches(": error: ").count(), 1, "{options:?}: {log}");
        assert!(log.contains("dind-launch: hint: "), "{options:?}: {log}");
    }
}
