//! What differs from one generation of the engine to the next: its settings, and where it keeps its images.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod firewall;
mod store;

use dind_tests::outer::{Network, Node, SLEEP, docker, image, inner_image};
use dind_tests::scratch;
use std::fs;

/// The first engine with an image store in containerd.
const CONTAINERD_STORE: u64 = 24;

/// The first engine that validates a configuration.
const VALIDATES: u64 = 23;

/// The major version of a node's engine.
fn major(node: &Node) -> u64 {
    let version = node.inner(&["version", "--format", "{{.Server.Version}}"]);
    version.split('.').next().unwrap().parse().unwrap()
}

/// The same of the image's, without a node.
fn major_of_the_image() -> u64 {
    let shown = docker(&["run", "--rm", "--entrypoint", "dockerd", &image(), "--version"]).ok();
    shown.split([' ', ',', '.']).nth(2).unwrap().parse().unwrap()
}

#[test]
fn the_engine_knows_the_settings_and_calls_none_deprecated() {
    let network = Network::new("10.236.0.0/16", "10.236.0.0/24", &[]);
    for mode in ["", "0.0.1.0"] {
        let offset = format!("DOCKER_NETWORK_OFFSET={mode}");
        let node = Node::start(&["--network", &network.name, "--env", &offset], SLEEP);
        node.until_running();
        if major(&node) >= VALIDATES {
            let checked = node.exec(&["dockerd", "--validate", "--config-file", "/run/dind/daemon.json"]);
            assert_eq!(checked.status, 0, "`{mode}`: {checked:?}");
        }
        let log = node.log();
        // Engine 29 says so of its host.
        let of_host = |line: &str| line.contains("Support for cgroup v1 is deprecated");
        let complains = |line: &&str| {
            let words = ["deprecat", "failed to load plugin", "configuration migrated"];
            words.iter().any(|words| line.to_lowercase().contains(words)) && !of_host(line)
        };
        let complaints: Vec<_> = log.lines().filter(complains).collect();
        assert!(complaints.is_empty(), "`{mode}`: {complaints:#?}");
    }
}

#[test]
fn images_are_kept_in_containerd_where_it_is_asked_for() {
    let directory = scratch();
    let file = directory.path().join("daemon.json");
    let volume = format!("{}:/etc/docker/daemon.json:ro", file.display());
    let loops = ["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=512MiB"];
    for (wanted, storage) in [(true, &[][..]), (true, &loops), (false, &[])] {
        fs::write(&file, format!(r#"{{"features": {{"containerd-snapshotter": {wanted}}}}}"#)).unwrap();
        let node = Node::start(&[&["--volume", &volume], storage].concat(), SLEEP);
        node.until_running();
        let status = node.inner(&["info", "--format", "{{.Driver}} {{.DriverStatus}}"]);
        let expected = wanted && major(&node) >= CONTAINERD_STORE;
        assert_eq!(status.contains("io.containerd.snapshotter"), expected, "{wanted}: {status}");
        assert!(status.starts_with("overlay"), "{status}");
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
        assert_eq!(node.stop().0, 143, "{}", node.log());
    }
}
