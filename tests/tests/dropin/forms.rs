//! Commands and variables as they stand in CI files that were written for docker:dind.

use dind_tests::outer::{Node, docker, image, inner_image};
use serde_json::json;

#[test]
fn gitlab_s_flags_make_the_engine_the_service() {
    // `services: - name: docker:dind, command: [...]`; GitLab gives a service the variables of its job, too.
    let node = Node::start(
        &["--env", "DOCKER_HOST=tcp://docker:2375", "--env", "DOCKER_DRIVER=overlay2"],
        &["--registry-mirror", "https://mirror.invalid", "--mtu=1400"],
    );
    let record = node.until_running().record();
    assert_eq!((&record["command"], &record["daemon_json"]["mtu"]), (&json!([]), &json!(1400)));
    let mirrors = node.inner(&["info", "--format", "{{.RegistryConfig.Mirrors}}"]);
    assert_eq!(mirrors, "[https://mirror.invalid/]");
    let mtu = node.inner(&["run", "--rm", &inner_image(), "cat", "/sys/class/net/eth0/mtu"]);
    assert_eq!(mtu, "1400");
    assert_eq!(node.stop().0, 0, "{}", node.log());
}

#[test]
fn the_runner_controller_s_dockerd_is_the_engine() {
    let command = ["dockerd", "--host=unix:///var/run/docker.sock", "--group=123"];
    let node = Node::start(&["--env", "DOCKER_GROUP_GID=123"], &command);
    node.until_running();
    assert_eq!(node.exec(&["stat", "--format", "%g", "/run/docker.sock"]).ok(), "123");
    assert_eq!(node.exec(&["sh", "-c", "ps -C dockerd -o pid= | wc -l"]).ok(), "1");
    assert_eq!(node.stop().0, 0, "{}", node.log());
}

#[test]
fn the_entrypoint_has_its_name_as_command_and_as_entrypoint() {
    let entrypoint = "dockerd-entrypoint.sh";
    for (options, command) in [
        (&[][..], &[entrypoint, "--mtu=1400"][..]),
        (&["--entrypoint", entrypoint], &["--mtu=1400"]),
        (&["--entrypoint", "/usr/local/bin/dockerd-entrypoint.sh"], &["dockerd", "--mtu=1400"]),
    ] {
        let node = Node::start(options, command);
        assert_eq!(node.until_running().record()["daemon_json"]["mtu"], 1400, "{options:?} {command:?}");
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
        assert_eq!(node.stop().0, 0, "{}", node.log());
    }
    let node = Node::start(&["--entrypoint", entrypoint], &[]);
    assert_eq!(node.until_running().record()["command"], json!([]));
}

#[test]
fn a_client_s_command_runs_beside_the_engine_and_ends_the_node() {
    let ran =
        docker(&["run", "--rm", "--privileged", &image(), "docker", "version", "--format", "{{.Server.Os}}"]);
    assert_eq!(ran.ok(), "linux");
}

#[test]
fn a_dockerd_that_prints_needs_no_privilege() {
    for command in [&["dockerd", "--version"][..], &["--version"]] {
        let printed = docker(&[&["run", "--rm", &image()], command].concat()).ok();
        assert!(printed.starts_with("Docker version "), "{printed}");
    }
    let help = docker(&["run", "--rm", "--entrypoint", "dockerd-entrypoint.sh", &image(), "--help"]).ok();
    assert!(help.contains("--registry-mirror"), "{help}");
}

#[test]
fn a_socket_in_docker_host_is_one_more() {
    let node = Node::start(&["--env", "DOCKER_HOST=unix:///srv/docker.sock"], &[]);
    node.until_running();
    for host in ["unix:///srv/docker.sock", "unix:///var/run/docker.sock"] {
        let version = node.exec(&["docker", "--host", host, "version", "--format", "{{.Server.Os}}"]);
        assert_eq!(version.ok(), "linux", "{host}");
    }
}

#[test]
fn a_path_without_usr_local_finds_the_entrypoint() {
    for path in ["/usr/bin:/bin", "/bin", "/usr/sbin:/sbin"] {
        let node = Node::start(&["--env", &format!("PATH={path}")], &["--mtu=1400"]);
        assert_eq!(node.until_running().record()["daemon_json"]["mtu"], 1400, "{path}");
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    }
}
