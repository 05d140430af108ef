//! The cells of the support table: each way to store with each way to connect, from the start of a node to its stop.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_tests::outer::{Network, Node, inner_image, on_host, unique};

/// Both networks of the outer engine carry this much, so that what is copied from elsewhere shows.
const MTU: &str = "1400";

/// The first engine whose user networks take the MTU from daemon.json (`default-network-opts`).
const MTU_FOR_ALL_NETWORKS: u64 = 24;

/// Prints the limits that a process sees of its own container, of cgroup v2 or v1: memory, cpu, pids.
const LIMITS: &str = "cd /sys/fs/cgroup
    if [ -e cgroup.controllers ]; then cat memory.max cpu.max pids.max
    else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us pids/pids.max; fi";

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
    cell(Storage::Native, Mode::Default("10.231"));
}

#[test]
fn native_bridged() {
    cell(Storage::Native, Mode::Bridged("10.232"));
}

#[test]
fn loop_default() {
    cell(Storage::Loop, Mode::Default("10.233"));
}

#[test]
fn loop_bridged() {
    cell(Storage::Loop, Mode::Bridged("10.234"));
}

fn cell(storage: Storage, mode: Mode) {
    let (Mode::Default(prefix) | Mode::Bridged(prefix)) = mode;
    let mtu = format!("com.docker.network.driver.mtu={MTU}");
    let network = Network::new(&format!("{prefix}.0.0/16"), &format!("{prefix}.0.0/24"), &["--opt", &mtu]);
    let image = format!("DIND_STORAGE_IMAGE=/data/{}", unique("image"));
    let mut options = vec!["--network", &network.name, "--env", "DIND_READY_TIMEOUT=3m"];
    if storage == Storage::Loop {
        options.extend(["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=512MiB"]);
        options.extend(["--env", &image]);
    }
    if matches!(mode, Mode::Bridged(_)) {
        options.extend(["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"]);
    }
    let node = Node::start(&options, &["sleep", "infinity"]);
    node.until_running();

    let record = node.record();
    let backing = if storage == Storage::Loop { "loop" } else { "native" };
    assert_eq!(record["documents"]["storage"]["result"]["backing"], backing);
    assert_eq!(node.inner(&["info", "--format", "{{.Driver}}"]), "overlay2");
    limits_arrive(&node);
    connected(&node, mode);
    mtu_of_a_user_network(&node);
    assert_eq!(node.stop().0, 143, "sleep ends by TERM: {}", node.log());
}

/// A container without limits would not show cgroups that are badly nested.
fn limits_arrive(node: &Node) {
    let limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "50"];
    let image = inner_image();
    let read = node.inner(&[&["run", "--rm"], &limits[..], &[&image, "sh", "-c", LIMITS]].concat());
    let read: Vec<_> = read.split_whitespace().collect();
    assert_eq!(read, ["67108864", "50000", "100000", "50"]);
}

fn connected(node: &Node, mode: Mode) {
    let id = node.inner_run(&[], "exec sleep 1000");
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = node.inner(&["inspect", "--format", format, &id]);
    let gateway = match mode {
        Mode::Default(prefix) => {
            assert!(!address.starts_with(prefix), "{address}");
            format!("{prefix}.0.1")
        }
        Mode::Bridged(prefix) => {
            assert!(address.starts_with(&format!("{prefix}.1.")), "{address}");
            let ping = on_host(&["busybox", "ping", "-c", "1", "-W", "10", &address]);
            assert_eq!(ping.status, 0, "the host does not reach {address}: {ping:?}");
            format!("{prefix}.0.1")
        }
    };
    node.inner(&["exec", &id, "ping", "-c", "1", "-W", "10", &gateway]);
}

fn mtu_of_a_user_network(node: &Node) {
    let version = node.inner(&["version", "--format", "{{.Server.Version}}"]);
    let major: u64 = version.split('.').next().unwrap().parse().unwrap();
    node.inner(&["network", "create", "own"]);
    let read = ["run", "--rm", "--network", "own", &inner_image(), "cat", "/sys/class/net/eth0/mtu"];
    let expected = if major < MTU_FOR_ALL_NETWORKS { "1500" } else { MTU };
    assert_eq!(node.inner(&read), expected, "engine {version}");
    let default = ["run", "--rm", &inner_image(), "cat", "/sys/class/net/eth0/mtu"];
    assert_eq!(node.inner(&default), MTU);
}
