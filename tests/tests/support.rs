//! The cells of the support table: each way to store with each way to connect, from the start of a node to its ordered stop,
//! within limits of its own, in both cgroup namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Network, Node, docker, inner_image, on_host, process, unique};
use std::fs;
use std::path::{Path, PathBuf};

/// Both networks of the outer engine carry this much, so that what is copied from elsewhere shows.
const MTU: &str = "1400";

/// The first engine whose user networks take the MTU from daemon.json (`default-network-opts`).
const MTU_FOR_ALL_NETWORKS: u64 = 24;

/// Prints the limits that a process sees of its own container, of cgroup v2 or v1: memory, cpu, pids; and its MTU.
const LOOK: &str = "cd /sys/fs/cgroup
    if [ -e cgroup.controllers ]; then cat memory.max cpu.max pids.max
    else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us pids/pids.max; fi
    cat /sys/class/net/eth0/mtu";

/// The node's own limits, and what asks for more memory.
const OWN: [&str; 4] = ["--memory", "500m", "--pids-limit", "900"];
const GREEDY: &str = "dd if=/dev/zero of=/dev/null bs=700M count=1";

/// The main process: its own status is the node's.
const MAIN: [&str; 3] = ["sh", "-c", "trap 'exit 42' TERM; sleep infinity & wait"];

/// An inner container that leaves word of how it was stopped.
const TELLS: &str = "trap 'echo TERM >/share/told; exit 0' TERM; touch /share/up; sleep infinity & wait";

/// How a node stores its engine's data.
#[derive(Clone, Copy, PartialEq)]
enum Storage {
    /// On a volume, as it is.
    Native,
    /// On its own overlay, by a loop image.
    Loop,
}

/// How a node's inner containers are connected, with a subnet that no other test uses.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Behind the node's address.
    Default(&'static str),
    /// On the outer network.
    Bridged(&'static str),
}

#[test]
fn native_default() {
    cell(Storage::Native, Mode::Default("10.231"), "private");
}

#[test]
fn native_bridged() {
    cell(Storage::Native, Mode::Bridged("10.232"), "host");
}

#[test]
fn loop_default() {
    cell(Storage::Loop, Mode::Default("10.233"), "host");
}

#[test]
fn loop_bridged() {
    cell(Storage::Loop, Mode::Bridged("10.234"), "private");
}

fn cell(storage: Storage, mode: Mode, namespace: &str) {
    let (Mode::Default(prefix) | Mode::Bridged(prefix)) = mode;
    let mtu = format!("com.docker.network.driver.mtu={MTU}");
    let network = Network::new(&format!("{prefix}.0.0/16"), &format!("{prefix}.0.0/24"), &["--opt", &mtu]);
    let image = format!("DIND_STORAGE_IMAGE=/data/{}", unique("image"));
    let share = tempfile::tempdir().unwrap();
    let volume = format!("{}:/share", share.path().display());
    // Emulated, a second's work takes ten.
    let patient = ["--env", "DIND_READY_TIMEOUT=3m", "--env", "DIND_STOP_BUDGET=50s"];
    let mut options = [&OWN[..], &patient].concat();
    options.extend(["--network", &network.name, "--cgroupns", namespace, "--volume", &volume]);
    if storage == Storage::Loop {
        options.extend(["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=512MiB"]);
        options.extend(["--env", &image]);
    }
    if matches!(mode, Mode::Bridged(_)) {
        options.extend(["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"]);
    }
    let node = Node::start(&options, &MAIN);
    node.until_running();

    let record = node.record();
    let backing = if storage == Storage::Loop { "loop" } else { "native" };
    assert_eq!(record["documents"]["storage"]["result"]["backing"], backing);
    assert_eq!(node.inner(&["info", "--format", "{{.Driver}}"]), "overlay2");
    limits_arrive(&node, record["engine_version"].as_str().unwrap());
    let id = node.inner_run(&["--volume", "/share:/share"], TELLS);
    connected(&node, &id, mode);
    let own = limits_of_the_node_hold(&node, &id);

    eventually("the inner container is up", LIMIT, || share.path().join("up").exists().then_some(()));
    docker(&["stop", "--time", "60", &node.name]).ok();
    assert_eq!(node.exit_status(), 42, "{}", node.log());
    assert!(share.path().join("told").exists(), "the inner container got no TERM: {}", node.log());
    drop(node);
    eventually("the host has no group of the node's", LIMIT, || (!own.exists()).then_some(()));
}

/// A container without limits would not show cgroups that are badly nested. It is on a user network, whose MTU is not that
/// of the default bridge with every engine.
fn limits_arrive(node: &Node, version: &str) {
    let major: u64 = version.split('.').next().unwrap().parse().unwrap();
    let mtu = if major < MTU_FOR_ALL_NETWORKS { "1500" } else { MTU };
    node.inner(&["network", "create", "own"]);
    let limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", "--network", "own"];
    let image = inner_image();
    let read = node.inner(&[&["run", "--rm"], &limits[..], &[&image, "sh", "-c", LOOK]].concat());
    let read: Vec<_> = read.split_whitespace().collect();
    assert_eq!(read, ["67108864", "50000", "100000", "50", mtu], "engine {version}");
}

fn connected(node: &Node, id: &str, mode: Mode) {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = node.inner(&["inspect", "--format", format, id]);
    let (Mode::Default(prefix) | Mode::Bridged(prefix)) = mode;
    if let Mode::Bridged(_) = mode {
        assert!(address.starts_with(&format!("{prefix}.1.")), "{address}");
        let ping = on_host(&["busybox", "ping", "-c", "1", "-W", "10", &address]);
        assert_eq!(ping.status, 0, "the host does not reach {address}: {ping:?}");
    } else {
        assert!(!address.starts_with(prefix), "{address}");
    }
    let look = format!("ping -c 1 -W 10 {prefix}.0.1 >/dev/null && cat /sys/class/net/eth0/mtu");
    assert_eq!(node.inner(&["exec", id, "sh", "-c", &look]), MTU);
}

/// What runs inside is in the node's own group, and the node survives what its limits cost an inner container. Gives the
/// group's folder.
fn limits_of_the_node_hold(node: &Node, id: &str) -> PathBuf {
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &node.name]).ok();
    let own = group_of(&process(&pid)).expect("the node runs");
    let own = own.trim_end_matches("/init");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut groups = processes.filter_map(|entry| group_of(&entry.path()));
    let inner =
        groups.find(|group| group.contains(id)).expect("the host sees the inner container's processes");
    assert!(inner.starts_with(&format!("{own}/")), "{inner} is not below {own}");
    let killed = node.inner_docker(&["run", "--rm", &inner_image(), "sh", "-c", GREEDY]);
    assert_eq!(killed.status, 137, "{killed:?}");
    // A process that is started in the node after its cgroups were nested finds a group to be in.
    node.exec(&["true"]).ok();
    assert_eq!(node.inner(&["inspect", "--format", "{{.State.Running}}", id]), "true");
    let memory = Path::new("/sys/fs/cgroup/memory");
    let root = if memory.is_dir() { memory } else { Path::new("/sys/fs/cgroup") };
    root.join(own.trim_start_matches('/'))
}

/// The memory controller's group of a process, as the host sees it, by its folder in /proc. None: no such process.
fn group_of(process: &Path) -> Option<String> {
    let text = fs::read_to_string(process.join("cgroup")).ok()?;
    let line = text.lines().find(|line| line.contains(":memory:"));
    let line = line.or_else(|| text.lines().find(|line| line.starts_with("0::")))?;
    line.rsplit(':').next().map(str::to_owned)
}
