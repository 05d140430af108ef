//! What only a virtual machine has: cgroups as hosts have them, every capability, and a host to look for traces on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, docker, image, inner_image, unique};
use serde_json::Value;
use std::fs;
use std::path::Path;

const SLEEP: &[&str] = &["sleep", "infinity"];

/// Emulated, a second's work takes ten.
const PATIENT: [&str; 2] = ["--env", "DIND_READY_TIMEOUT=3m"];

/// Asks for more memory than a node of `limited` has.
const GREEDY: &str = "dd if=/dev/zero of=/dev/null bs=700M count=1";

fn node(options: &[&str], command: &[&str]) -> Node {
    let node = Node::start(&[&PATIENT[..], options].concat(), command);
    node.until_running();
    node
}

/// The memory controller's group of a process, as the host sees it.
fn group_of(pid: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("0::/d") || line.contains(":memory:"));
    line.unwrap_or_else(|| panic!("{text}")).rsplit(':').next().unwrap().to_owned()
}

/// The host's number of the process with this command line.
fn process(command: &str) -> String {
    let wanted = format!("{}\0", command.replace(' ', "\0"));
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut found = entries
        .filter(|entry| fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|line| line == wanted));
    found.next().unwrap_or_else(|| panic!("no `{command}`")).file_name().into_string().unwrap()
}

/// The node's own limits hold for what runs inside, and it survives what they cost an inner container.
fn limits_of_the_node_hold(namespace: &str, mark: &str) {
    let node = node(&["--cgroupns", namespace, "--memory", "500m", "--pids-limit", "900"], SLEEP);
    let own = group_of(&docker(&["inspect", "--format", "{{.State.Pid}}", &node.name]).ok());
    let own = own.trim_end_matches("/init").to_owned();
    let id = node.inner_run(&[], &format!("exec sleep {mark}"));
    let inner = eventually("the inner process runs", LIMIT, || {
        node.inner(&["top", &id]).contains(mark).then(|| group_of(&process(&format!("sleep {mark}"))))
    });
    assert!(inner.starts_with(&format!("{own}/")) && inner.contains(&id), "{inner} is not below {own}");
    let killed = node.exec(&["docker", "run", "--rm", &inner_image(), "sh", "-c", GREEDY]);
    assert_eq!(killed.status, 137, "{killed:?}");
    // A process that is started in the node after its cgroups were nested is inside its limits too.
    let pid = "exec cat /proc/self/cgroup";
    assert!(!node.exec(&["sh", "-c", pid]).ok().is_empty());
    assert_eq!(node.inner(&["inspect", "--format", "{{.State.Running}}", &id]), "true");
    assert_eq!(node.stop().0, 143, "{}", node.log());
    let group = Path::new("/sys/fs/cgroup").join(own.trim_start_matches('/'));
    drop(node);
    assert!(!group.exists(), "{} is still there", group.display());
}

#[test]
fn limits_of_the_node_hold_with_a_cgroup_namespace_of_its_own() {
    limits_of_the_node_hold("private", "471100");
}

#[test]
fn limits_of_the_node_hold_with_the_hosts_cgroup_namespace() {
    limits_of_the_node_hold("host", "471101");
}

#[test]
fn an_inner_privileged_container_and_an_ordered_stop() {
    let share = tempfile::tempdir().unwrap();
    let volume = format!("{}:/share", share.path().display());
    let main = "trap 'exit 42' TERM; while :; do sleep 0.1; done";
    let node = node(&["--volume", &volume, "--env", "DIND_STOP_BUDGET=50s"], &["sh", "-c", main]);
    let mount = "mount -t tmpfs none /tmp && test -e /dev/loop-control && echo mounted";
    let inner = inner_image();
    assert_eq!(node.inner(&["run", "--rm", "--privileged", &inner, "sh", "-c", mount]), "mounted");

    let tells = "trap 'echo TERM > /share/told; exit 0' TERM; touch /share/up; while :; do sleep 0.1; done";
    node.inner_run(&["--volume", "/share:/share"], tells);
    eventually("the inner container is up", LIMIT, || share.path().join("up").exists().then_some(()));
    docker(&["stop", "--time", "60", &node.name]).ok();
    assert_eq!(node.exit_status(), 42, "{}", node.log());
    assert!(share.path().join("told").exists(), "the inner container got no TERM: {}", node.log());
}

/// An engine ran in the container before anybody prepared it, and has run a container.
#[test]
fn an_engine_that_was_started_unprepared_is_no_lasting_harm() {
    let script = "dockerd >/log 2>&1 & engine=$!
        until docker version >/dev/null 2>&1; do kill -0 $engine || { cat /log; exit 1; }; sleep 0.5; done
        docker load --quiet --input /preload/inner.tar >/dev/null
        docker run --rm $1 true
        kill $engine; wait $engine
        dind-launch prepare && exec dind-launch run -- sleep infinity";
    let options = [&PATIENT[..], &["--privileged", "--entrypoint", "sh"]].concat();
    let node = Node::of_image(&image(), &options, &["-c", script, "sh", &inner_image()]);
    node.until_running();
    let limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true";
    let read = node.inner(&["run", "--rm", "--memory", "64m", &inner_image(), "sh", "-c", limit]);
    assert_eq!(read, (64 << 20).to_string());
}

#[test]
fn a_loop_image_grows_while_it_is_mounted() {
    let file = format!("DIND_STORAGE_IMAGE=/data/{}", unique("image"));
    let storage =
        ["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=256MiB", "--env", &file];
    let node = node(&storage, SLEEP);
    let size = || -> u64 {
        let shown = node.exec(&["stat", "--file-system", "--format", "%b %S", "/srv/docker"]).ok();
        shown.split(' ').map(|word| word.parse::<u64>().unwrap()).product()
    };
    node.inner(&["volume", "create", "kept"]);
    let before = size();
    let grown = node.exec(&["env", "VAR_LIB_DOCKER_SIZE=512MiB", "dind-storage", "apply"]).ok();
    let grown: Value = serde_json::from_str(&grown).unwrap();
    assert_eq!((&grown["changed"], &grown["warnings"]), (&true.into(), &serde_json::json!([])), "{grown}");
    assert!(size() > before + (200 << 20), "{before} -> {}", size());
    assert_eq!(node.inner(&["volume", "ls", "--quiet"]), "kept");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}
