//! Nodes of the built image on a real outer engine, with real inner containers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use dind_tests::outer::{Network, Node, docker, image, inner_image, on_host, unique};
use dind_tests::{eventually, outer::LIMIT};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

const SLEEP: &[&str] = &["sleep", "infinity"];
/// What an inner container does that ends on TERM and leaves word of it.
const TELLS_OF_TERM: &str = "trap 'echo TERM > /share/$HOSTNAME; exit 0' TERM; touch /share/up-$HOSTNAME; while :; do sleep 0.05; done";

/// A data root on the container's own overlay, where overlay2 needs a loop image.
const LOOP: [&str; 4] = ["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=1"];

/// Whether a loop device of the machine is backed by this file; its name is as seen by the one who attached it.
fn is_attached(file: &str) -> bool {
    let devices = fs::read_dir("/sys/block").unwrap().flatten();
    let mut files =
        devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files.any(|backing| backing.trim() == file)
}

#[test]
fn a_data_root_on_a_volume_is_used_as_it_is() {
    let node = Node::start(&["--health-interval", "100ms"], SLEEP);
    node.until_running();
    assert_eq!(node.exec(&["docker", "run", "--rm", &inner_image(), "echo", "hello"]).ok(), "hello");
    assert_eq!(node.inner(&["info", "--format", "{{.Driver}}"]), "overlay2");
    let record = node.record();
    assert_eq!(record["documents"]["storage"]["result"]["backing"], "native");
    assert_eq!(
        record["engine_version"],
        node.inner(&["version", "--format", "{{.Server.Version}}"]).as_str()
    );
    eventually("the outer engine calls the node healthy", LIMIT, || {
        let health = docker(&["inspect", "--format", "{{.State.Health.Status}}", &node.name]).ok();
        (health == "healthy").then_some(())
    });
    assert_eq!(node.stop().0, 143, "sleep ends by TERM: {}", node.log());
}

#[test]
fn a_data_root_on_the_container_s_own_overlay_gets_a_loop_image() {
    let file = format!("/data/{}", unique("image"));
    let image = format!("DIND_STORAGE_IMAGE={file}");
    let node = Node::start(&[&LOOP[..], &["--env", &image]].concat(), SLEEP);
    node.until_running();
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    assert_eq!(node.inner(&["info", "--format", "{{.Driver}} {{.DockerRootDir}}"]), "overlay2 /srv/docker");
    let storage = node.record()["documents"]["storage"]["result"].clone();
    assert_eq!((&storage["backing"], &storage["image"]["size_bytes"]), (&json!("loop"), &json!(1_u64 << 30)));
    assert!(is_attached(&file), "{storage}");
    assert_eq!(node.stop().0, 143);
    assert!(!is_attached(&file), "{file} still backs a loop device");
    let record: Value = serde_json::from_str(&read_from(&node, "/run/dind/launch.json")).unwrap();
    assert_eq!(record["documents"]["release-storage"]["changed"], true);
}

/// A file of a node that has ended.
fn read_from(node: &Node, path: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("file");
    docker(&["cp", &format!("{}:{path}", node.name), target.to_str().unwrap()]).ok();
    fs::read_to_string(target).unwrap()
}

#[test]
fn bridged_nodes_put_their_inner_containers_on_the_outer_network() {
    let network = Network::new("10.213.0.0/16", "10.213.0.0/24", &[]);
    let start = |offset: &str| {
        let offset = format!("DOCKER_NETWORK_OFFSET={offset}");
        Node::start(&["--network", &network.name, "--env", &offset], SLEEP)
    };
    let (one, two) = (start("0.0.1.0"), start("0.0.2.0"));
    let mut addresses = Vec::new();
    for (node, range) in [(&one, "10.213.1."), (&two, "10.213.2.")] {
        node.until_running();
        let id = node.inner_run(&[], "exec sleep 1000");
        let address = node.inner(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &id]);
        assert!(address.starts_with(range), "{address}");
        let from_host = on_host(&["busybox", "ping", "-c", "1", "-W", "5", &address]);
        assert_eq!(from_host.status, 0, "{from_host:?}");
        addresses.push((node, id, address));
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let (node, id, _) = &addresses[from];
        node.inner(&["exec", id, "ping", "-c", "1", "-W", "5", &addresses[to].2]);
        node.inner(&["exec", id, "ping", "-c", "1", "-W", "5", "10.213.0.1"]);
    }
    // The node's own address still answers, and still is what the outer engine thinks it is.
    let own = docker(&[
        "inspect",
        "--format",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        &one.name,
    ])
    .ok();
    assert_eq!(on_host(&["busybox", "ping", "-c", "1", "-W", "5", &own]).status, 0);
    assert_eq!(one.stop().0, 143, "{}", one.log());
}

#[test]
fn a_stop_reaches_every_inner_container_and_keeps_the_main_process_status() {
    let share = tempfile::tempdir().unwrap();
    let volume = format!("{}:/share", share.path().display());
    let main = "trap 'exit 42' TERM; while :; do sleep 0.05; done";
    let node = Node::start(&["--volume", &volume], &["sh", "-c", main]);
    node.until_running();
    for _ in 0..3 {
        node.inner_run(&["--volume", "/share:/share"], TELLS_OF_TERM);
    }
    let names = |prefix: &str| {
        let files =
            fs::read_dir(share.path()).unwrap().flatten().map(|file| file.file_name().into_string().unwrap());
        files.filter(|name| name.starts_with("up-") == (prefix == "up-")).count()
    };
    eventually("three inner containers are up", LIMIT, || (names("up-") == 3).then_some(()));
    let (status, took) = node.stop();
    assert_eq!(status, 42, "{}", node.log());
    assert_eq!(names(""), 3, "each inner container got TERM: {}", node.log());
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn inner_containers_that_ignore_term_do_not_cost_the_main_process_its_status() {
    let node = Node::start(&[], &["sh", "-c", "trap 'exit 42' TERM; while :; do sleep 0.05; done"]);
    node.until_running();
    for _ in 0..3 {
        node.inner_run(&[], "trap '' TERM; while :; do sleep 0.05; done");
    }
    let (status, took) = node.stop();
    assert_eq!(status, 42, "{}", node.log());
    assert!(took < Duration::from_millis(9_500), "{took:?}");
}

#[test]
fn a_killed_node_comes_back() {
    let node = Node::start(&[], SLEEP);
    for round in 0..4 {
        node.until_running();
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello", "round {round}");
        node.inner_run(&[], "exec sleep 1000");
        let up = node.inner(&["ps", "--quiet"]);
        assert_eq!(up.lines().count(), 1, "round {round}: ghosts of killed containers: {up}");
        docker(&["kill", &node.name]).ok();
        assert_eq!(node.exit_status(), 137);
        docker(&["start", &node.name]).ok();
    }
    node.until_running();
}

#[test]
fn a_killed_node_on_a_loop_image_comes_back_with_its_images() {
    let file = format!("/data/{}", unique("image"));
    let image = format!("DIND_STORAGE_IMAGE={file}");
    let node = Node::start(&[&LOOP[..], &["--env", &image]].concat(), SLEEP);
    node.until_running();
    node.inner(&["volume", "create", "kept"]);
    docker(&["kill", &node.name]).ok();
    assert_eq!(node.exit_status(), 137);
    assert!(!is_attached(&file), "{file} still backs a loop device");
    docker(&["start", &node.name]).ok();
    node.until_running();
    assert_eq!(node.inner(&["volume", "ls", "--quiet"]), "kept");
}

#[test]
fn exit_statuses_are_the_main_process_own() {
    for (command, expected) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["/etc/passwd"], 126),
        (&["no-such-command"], 127),
        (&["sh", "-c", "kill -TERM $$"], 143),
    ] {
        let node = Node::start(&[], command);
        assert_eq!(node.exit_status(), expected, "{command:?}: {}", node.log());
    }
}

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
fn bad_input_is_one_error_with_a_cure() {
    let privileged = "--privileged";
    for (options, code) in [
        (&[privileged, "--env", "VAR_LIB_DOCKER_SIZE=abc"][..], "size-invalid"),
        (&[privileged, "--env", "DIND_STORAGE_DRIVER=zip"], "driver-unknown"),
        (&[privileged, "--env", "DOCKER_NETWORK_OFFSET=1.2.3"], "offset-invalid"),
        (
            &[privileged, "--env", "DOCKER_NETWORK_OFFSET=0.0.1.0", "--env", "DOCKER_NETWORK_SIZE=33"],
            "size-invalid",
        ),
        (&[privileged, "--env", "DOCKER_NETWORK_OFFSET=0.0.0.0"], "range-holds-gateway"),
        (&[privileged, "--env", "DOCKER_DAEMON_ARGS=--no-such-flag"], "unknown flag: --no-such-flag"),
        (&[privileged, "--env", "PATH=/usr/local/bin"], "cannot find `dockerd`"),
        (&[privileged, "--user", "1000"], "the caller is not root"),
        (&[], "CAP_SYS_ADMIN is missing"),
    ] {
        let node = Node::of_image(&image(), options, SLEEP);
        assert_eq!(node.exit_status(), 125, "{options:?}: {}", node.log());
        let log = node.log();
        assert!(log.contains(code), "{options:?}: {log}");
        assert_eq!(log.matches(": error: ").count(), 1, "{options:?}: {log}");
        assert!(log.contains("dind-launch: hint: "), "{options:?}: {log}");
    }
}

/// The shell entrypoint that the README shows, word for word.
fn entrypoint() -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let start = readme.find("#!/bin/sh").expect("the README shows an entrypoint");
    let script = readme[start..].split("```").next().unwrap().to_owned();
    assert!(script.lines().count() < 10, "{script}");
    script
}

/// An image whose entrypoint is a shell script.
struct ShellImage(String);

impl ShellImage {
    fn build(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("entrypoint.sh"), script).unwrap();
        let recipe = format!(
            "FROM {}\nCOPY entrypoint.sh /entrypoint.sh\nRUN chmod +x /entrypoint.sh\nENTRYPOINT [\"/entrypoint.sh\"]\nHEALTHCHECK NONE\n",
            image()
        );
        fs::write(folder.path().join("Dockerfile"), recipe).unwrap();
        let tag = unique("shell");
        docker(&["build", "--quiet", "--tag", &tag, folder.path().to_str().unwrap()]).ok();
        Self(tag)
    }
}

impl Drop for ShellImage {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

#[test]
fn the_readme_s_shell_entrypoint_makes_a_node_of_its_own() {
    let image = ShellImage::build(&entrypoint());
    let share = tempfile::tempdir().unwrap();
    let volume = format!("{}:/share", share.path().display());
    let main = "docker load -qi /preload/inner.tar; touch /share/main; trap 'exit 42' TERM; while :; do sleep 0.05; done";
    let node = Node::of_image(&image.0, &["--privileged", "--volume", &volume], &["sh", "-c", main]);
    eventually("the main process runs", LIMIT, || share.path().join("main").exists().then_some(()));
    node.inner_run(&["--volume", "/share:/share", "--hostname", "inner"], TELLS_OF_TERM);
    eventually("the inner container is up", LIMIT, || share.path().join("up-inner").exists().then_some(()));
    let asked = Instant::now();
    assert_eq!(node.stop().0, 42, "{}", node.log());
    assert!(asked.elapsed() < Duration::from_secs(9));
    assert!(share.path().join("inner").exists(), "the inner container got TERM: {}", node.log());
}

#[test]
fn a_shell_script_and_the_launcher_get_the_same_documents() {
    let script = "#!/bin/sh\nset -eu\ndind-launch prepare >/share/prepare.json\ndind-storage apply >/share/storage.json\n\
                  DIND_NET_FORWARD=true dind-net apply >/share/net.json\n";
    let image = ShellImage::build(script);
    for env in [
        ["DIND_DATA_ROOT=/var/lib/docker", "VAR_LIB_DOCKER_SIZE=1"],
        ["DIND_DATA_ROOT=/srv/docker", "VAR_LIB_DOCKER_SIZE=1"],
    ] {
        let share = tempfile::tempdir().unwrap();
        let volume = format!("{}:/share", share.path().display());
        // In the host's cgroup namespace a script is helped in another way than a child of the launcher.
        let private = "--cgroupns=private";
        let options = ["--privileged", private, "--volume", &volume, "--env", env[0], "--env", env[1]];
        let shell = Node::of_image(&image.0, &options, &[]);
        assert_eq!(shell.exit_status(), 0, "{}", shell.log());
        let launched = Node::start(&options[1..], SLEEP);
        let documents = launched.until_running().record()["documents"].clone();
        for stage in ["prepare", "storage", "net"] {
            let text = fs::read_to_string(share.path().join(format!("{stage}.json"))).unwrap();
            let shell: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(comparable(&shell), comparable(&documents[stage]), "{stage}");
        }
    }
}

/// Without what differs from one container to the next: loop numbers, free bytes, its own address.
fn comparable(document: &Value) -> Value {
    let mut document = document.clone();
    match &mut document {
        Value::Object(map) => {
            for key in ["device", "space", "mac", "uplink"] {
                map.remove(key);
            }
            map.values_mut().for_each(|value| *value = comparable(value));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = comparable(value)),
        _ => {}
    }
    document
}
