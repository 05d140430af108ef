//! daemon.json and DOCKER_DAEMON_ARGS as people write them.

use dind_tests::outer::{Node, SLEEP, docker, image, inner_image};
use dind_tests::{scratch, seconds};
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A daemon.json, and the option of `docker run` that mounts it.
pub(crate) fn daemon_json(content: impl AsRef<[u8]>) -> (TempDir, String) {
    let directory = scratch();
    let file = directory.path().join("daemon.json");
    fs::write(&file, content).unwrap();
    let volume = format!("{}:/etc/docker/daemon.json:ro", file.display());
    (directory, volume)
}

#[test]
fn values_that_equal_the_node_s_own_pass() {
    let text = r#"{"live-restore": false, "data-root": "/var/lib/docker", "exec-root": "/var/run/docker",
        "pidfile": "/var/run/docker.pid", "hosts": ["unix:///var/run/docker.sock", "unix:///run/docker.sock"],
        "containerd": "/run/dind/containerd.sock", "bridge": "docker0", "iptables": true, "storage-driver": "overlay2",
        "bip": "", "fixed-cidr": "", "default-gateway": "", "dns": [], "mtu": 0}"#;
    let (_file, volume) = daemon_json(text);
    let node =
        Node::start(&["--volume", &volume, "--env", "DOCKER_DAEMON_ARGS=--live-restore=false -D"], SLEEP);
    node.until_running();
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    assert_eq!(node.exec(&["cat", "/var/run/docker.pid"]).ok(), node.record()["engine_pid"].to_string());
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn a_storage_driver_of_the_user_is_known_before_an_image_is_made_for_another() {
    let (_file, volume) = daemon_json(r#"{"storage-driver": "vfs"}"#);
    let ways = [
        ["--volume", volume.as_str()],
        ["--env", "DOCKER_DAEMON_ARGS=-s vfs"],
        ["--env", "DOCKER_DRIVER=vfs"],
    ];
    for way in ways {
        let node = Node::start(&[&["--env", "DIND_DATA_ROOT=/srv/docker"], &way[..]].concat(), SLEEP);
        let storage = node.until_running().record()["documents"]["storage"]["result"].take();
        assert_eq!((&storage["driver"], &storage["backing"]), (&"vfs".into(), &"native".into()), "{way:?}");
        assert_eq!(node.exec(&["test", "-e", "/data/docker"]).status, 1, "{way:?}");
        assert_eq!(node.inner(&["info", "--format", "{{.Driver}}"]), "vfs", "{way:?}");
    }
}

#[test]
fn an_address_of_the_bridge_and_a_data_root_of_the_user_are_the_node_s() {
    let text = r#"{"bip": "10.250.3.1/24", "data-root": "/srv/data", "storage-driver": "vfs", "mtu": 1300}"#;
    let (_file, volume) = daemon_json(text);
    let node = Node::start(&["--volume", &volume], SLEEP);
    node.until_running();
    let script = "ip route; cat /sys/class/net/eth0/mtu";
    let found = node.inner(&["run", "--rm", &inner_image(), "sh", "-c", script]);
    assert!(found.starts_with("default via 10.250.3.1 ") && found.ends_with("\n1300"), "{found}");
    assert_eq!(node.inner(&["info", "--format", "{{.DockerRootDir}}"]), "/srv/data");
    let warnings = &node.record()["warnings"];
    assert!(!warnings.to_string().contains("setting-overridden"), "{warnings}");
}

#[test]
fn a_node_without_a_bridge_is_a_mode() {
    for text in [r#"{"bridge": "none", "iptables": false}"#, r#"{"bridge": "none"}"#] {
        let (_file, volume) = daemon_json(text);
        let node = Node::start(&["--volume", &volume], SLEEP);
        node.until_running();
        let run = ["run", "--rm", "--network", "host", &inner_image(), "ls", "/sys/class/net"];
        let links = node.inner(&run);
        assert!(links.contains("eth0") && !links.contains("docker0"), "{text}: {links}");
        assert_eq!(node.stop().0, 143, "{}", node.log());
    }
}

#[test]
fn a_contradiction_to_a_variable_is_refused_by_name() {
    let (_file, volume) = daemon_json(r#"{"storage-driver": "vfs"}"#);
    let node = Node::start(&["--volume", &volume, "--env", "DIND_STORAGE_DRIVER=overlay2"], SLEEP);
    assert_eq!(node.exit_status(), 125);
    let expected = "cannot use `storage-driver` vfs for the engine: DIND_STORAGE_DRIVER is overlay2";
    assert!(node.log().contains(expected), "{}", node.log());
}

#[test]
fn a_file_is_taken_in_every_form_that_dockerd_takes() {
    let directory = scratch();
    // As Kubernetes mounts a ConfigMap: links in a directory that is read-only.
    let data = directory.path().join("..2026");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("daemon.json"), r#"{"labels": ["from=map"]}"#).unwrap();
    symlink("..2026", directory.path().join("..data")).unwrap();
    symlink("..data/daemon.json", directory.path().join("daemon.json")).unwrap();
    let map = format!("{}:/etc/docker:ro", directory.path().display());
    let (_mark, mark) = daemon_json(b"\xef\xbb\xbf{\"labels\": [\"from=mark\"]}\r\n");
    let (_empty, empty) = daemon_json("");
    for (volume, labels) in [(&map, "[from=map]"), (&mark, "[from=mark]"), (&empty, "[]")] {
        let node = Node::start(&["--volume", volume], SLEEP);
        node.until_running();
        assert_eq!(node.inner(&["info", "--format", "{{.Labels}}"]), labels);
    }
}

/// moby/moby#44905: engines before 23 stop behind the first value.
#[test]
fn what_follows_the_first_value_is_for_the_engine_to_judge() {
    let (_file, volume) = daemon_json("{\"labels\": [\"from=first\"]}\n{\"labels\": [\"from=second\"]}");
    let dockerd = ["--entrypoint", "dockerd", &image(), "--version"];
    let version = docker(&[&["run", "--rm"][..], &dockerd].concat()).ok();
    let node = Node::start(&["--volume", &volume], SLEEP);
    if version.starts_with("Docker version 20.") {
        node.until_running();
        assert_eq!(node.inner(&["info", "--format", "{{.Labels}}"]), "[from=first]");
        let warned = "ignores what follows the JSON value that ends in line 1 of /etc/docker/daemon.json";
        assert!(node.record()["warnings"].to_string().contains(warned), "{}", node.log());
    } else {
        assert_eq!(node.exit_status(), 125, "{version}");
        assert!(node.log().contains("trailing characters at line 2"), "{}", node.log());
    }
}

/// moby/moby#42948
#[test]
fn a_value_that_stands_in_the_file_and_in_a_flag_is_no_reason_to_warn() {
    let (_file, volume) = daemon_json(
        r#"{"debug": true, "log-level": "warn", "labels": ["a=b", "c=d"], "hosts": ["unix:///run/x.sock"],
            "log-opts": {"max-size": "10m", "max-file": "3"}, "mtu": 1400}"#,
    );
    let args = "DOCKER_DAEMON_ARGS=-Dl warn --label a=b --label=c=d -H unix:///run/x.sock --mtu 1400 \
                --log-opt max-size=10m --log-opt max-file=3";
    let node = Node::start(&["--volume", &volume, "--env", args], SLEEP);
    let warnings = node.until_running().record()["warnings"].take();
    assert!(!warnings.to_string().contains("setting-overridden"), "{warnings}");
    let info = node.inner(&["info", "--format", "{{.Labels}} {{.Debug}}"]);
    assert!(["a=b", "c=d", " true"].iter().all(|part| info.contains(part)), "{info}");
    assert_eq!(node.exec(&["docker", "--host", "unix:///run/x.sock", "ps", "--quiet"]).status, 0);
}

/// moby/moby#28811
#[test]
fn settings_that_cut_inner_containers_off_are_named() {
    let gateway = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}";
    for (args, key) in
        [("", None), ("--iptables=false", Some("iptables")), ("--ip-masq=false", Some("ip-masq"))]
    {
        let node = Node::start(&["--env", &format!("DOCKER_DAEMON_ARGS={args}")], SLEEP);
        let warnings = node.until_running().record()["warnings"].to_string();
        let outer = docker(&["inspect", "--format", gateway, &node.name]).ok();
        let ping = ["run", "--rm", &inner_image(), "ping", "-c", "1", "-W", &seconds(2), &outer];
        assert_eq!(node.inner_docker(&ping).status == 0, key.is_none(), "{args}");
        assert_eq!(warnings.contains("inner-containers-cut-off"), key.is_some(), "{args}: {warnings}");
        assert!(key.is_none_or(|key| warnings.contains(&format!("`{key}` is false"))), "{warnings}");
    }
}

#[test]
fn what_dockerd_does_not_know_is_refused_by_it_and_its_words_reach_the_user() {
    let (_file, volume) = daemon_json(r#"{"no-such-key": 1}"#);
    let node = Node::start(&["--volume", &volume], SLEEP);
    assert_eq!(node.exit_status(), 125);
    let log = node.log();
    let words = "the following directives don't match any configuration option: no-such-key";
    assert!(
        log.lines().any(|line| line.starts_with("dind-launch: cause: ") && line.contains(words)),
        "{log}"
    );
}

#[test]
fn an_open_socket_is_found_behind_any_spelling() {
    for args in ["-DH tcp://0.0.0.0:2375", "-H=tcp://0.0.0.0:2375", "--host tcp://0.0.0.0:2375"] {
        let node = Node::start(&["--env", &format!("DOCKER_DAEMON_ARGS={args}")], SLEEP);
        assert_eq!(node.exit_status(), 125, "{args}");
        assert!(node.log().contains("everybody who reaches it would be root"), "{}", node.log());
    }
}
