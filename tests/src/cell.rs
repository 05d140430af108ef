//! A cell of the support table: a node from its start to its ordered stop, within limits of its own, with two inner
//! containers. These write what they see into a directory that they share with the test: where processors are emulated,
//! each question to an engine costs as much as a dozen files.

use crate::outer::{Docker, Ended, LIMIT, Network, Node, Outer, Share, image, on_host};
use crate::{eventually, seconds, unique};
use dind_system::proc::parse_cgroups;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The MTU of the outer networks. It is not the usual one, so that a value from elsewhere shows.
pub const MTU: &str = "1400";

/// The first engine whose user networks take the MTU from daemon.json (`default-network-opts`).
const MTU_FOR_ALL_NETWORKS: u64 = 24;

/// The node's own limits. With swap, it would have room for what is to be killed.
const OWN: [&str; 6] = ["--memory", "500m", "--memory-swap", "500m", "--pids-limit", "900"];

/// The main process: its own status is the node's.
pub const MAIN: [&str; 3] = ["sh", "-c", "trap 'exit 42' TERM; sleep infinity & wait"];

/// For a node where processors are emulated: a second's work takes ten.
pub const SLOW: [&str; 4] = ["--env", "DIND_READY_TIMEOUT=3m", "--env", "DIND_STOP_BUDGET=50s"];

/// The limited container's. One without limits would not show cgroups that are badly nested.
pub const LIMITS: [&str; 6] = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "50"];

/// What it does: writes down the limits that a process sees of its own container, of cgroup v2 or v1, and its MTU; and
/// later, how it was stopped.
pub const LIMITED: &str = "trap 'echo TERM >/share/stopped; exit 0' TERM
    cd /sys/fs/cgroup
    { if [ -e cgroup.controllers ]; then cat memory.max cpu.max pids.max
    else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us pids/pids.max; fi
    cat /sys/class/net/eth0/mtu; } >/share/look
    mv /share/look /share/limits
    sleep infinity & wait";

/// What the one without limits does: writes down how it is connected, waits, and asks for more memory than the node has.
#[must_use]
pub fn greedy(gateway: &str) -> String {
    format!(
        "{{ hostname -i; cat /sys/class/net/eth0/mtu; ping -q -c 1 -W {} {gateway} >&2 && echo reached; }} >/share/around
        mv /share/around /share/connected
        until [ -e /share/go ]; do sleep 0.2; done
        dd if=/dev/zero of=/dev/null bs=700M count=1",
        seconds(10)
    )
}

/// How a node stores its engine's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// On a volume, as it is.
    Native,
    /// On its own overlay, in a loop image.
    Loop,
}

/// How a node's inner containers are connected, with a subnet that no other test uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Behind the node's address.
    Default(&'static str),
    /// On the outer network.
    Bridged(&'static str),
}

/// Says on which engine the cells of a module (`module_path!()`) run, such as `podman 4.3.1, crun 1.8.1`: the support table has a row
/// for it.
///
/// # Panics
/// stdout is closed.
pub fn ran_on(module: &str, engine: &str) {
    // The program's own name is no part of its tests' names.
    let module = module.split_once("::").map_or(module, |(_, module)| module);
    // What `print!` prints, the test runner keeps to itself.
    std::io::stdout().write_all(format!("outer: {module} = {engine}\n").as_bytes()).unwrap();
}

/// Runs a cell as it is on every host.
///
/// # Panics
/// The node does not do what it should.
pub fn cell(storage: Storage, mode: Mode, namespace: &str) {
    cell_with(storage, mode, namespace, &[], |_, _| ());
}

/// Runs a cell with more options for the container without limits, and with more to look at while this container runs.
///
/// # Panics
/// The node does not do what it should.
pub fn cell_with(
    storage: Storage,
    mode: Mode,
    namespace: &str,
    options: &[&str],
    more: impl FnOnce(&Node, &str),
) {
    cell_of(&["--privileged", "--cgroupns", namespace], storage, mode, options, more);
}

/// Runs a cell whose node has these flags of `docker run`.
///
/// # Panics
/// The node does not do what it should.
pub fn cell_of(
    flags: &[&str],
    storage: Storage,
    mode: Mode,
    options: &[&str],
    more: impl FnOnce(&Node, &str),
) {
    cell_on(&Docker::usual(), flags, storage, mode, options, more);
}

/// Runs a cell on an engine of another make.
///
/// # Panics
/// The node does not do what it should.
pub fn cell_on(
    outer: &Arc<dyn Outer>,
    flags: &[&str],
    storage: Storage,
    mode: Mode,
    options: &[&str],
    more: impl FnOnce(&Node, &str),
) {
    let (Mode::Default(prefix) | Mode::Bridged(prefix)) = mode;
    let (subnet, range) = (format!("{prefix}.0.0/16"), format!("{prefix}.0.0/24"));
    let network = Network::on(outer.clone(), &subnet, &range, MTU);
    let share = Share::new();
    // For whoever root of the node is outside.
    fs::set_permissions(share.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let node = start(outer, storage, mode, &[flags, &["--network", &network.name]].concat(), &share);
    node.until_running();

    node.inner(&["network", "create", "own"]);
    let shared = Share::WITHIN;
    let limited = node.inner_run(&[&LIMITS[..], &shared, &["--network", "own"]].concat(), LIMITED);
    let greedy = node.inner_run(&[&shared, options].concat(), &greedy(&format!("{prefix}.0.1")));
    match mode {
        Mode::Bridged(prefix) => connected_bridged(&share, &format!("{prefix}.1."), |address| {
            on_host(&["busybox", "ping", "-c", "1", "-W", &seconds(10), address])
        }),
        Mode::Default(prefix) => connected(&share, prefix),
    }
    more(&node, &greedy);
    let own = in_the_group_of(&node.process().expect("the node runs"), &limited);
    fs::write(share.path("go"), "").unwrap();
    assert_eq!(node.inner(&["wait", &greedy]), "137", "the node's limit of memory holds");
    // The node survives what its limits cost an inner container.
    let shown = node.inner(&["inspect", "--format", "{{.Driver}} {{.State.Running}}", &limited]);
    assert_eq!(shown, format!("{} true", node.overlay()));
    // By a process that is started in the node after its cgroups were nested, and finds a group to be in.
    let record = node.record();
    let backing = if storage == Storage::Loop { "loop" } else { "native" };
    assert_eq!(record["documents"]["storage"]["result"]["backing"], backing);
    limits_arrive(&share, record["engine_version"].as_str().unwrap());

    outer.client(&["stop", "--time", "60", &node.name]).ok();
    assert_eq!(node.exit_status(), 42, "{}", node.log());
    assert!(share.path("stopped").exists(), "the inner container got no TERM: {}", node.log());
    drop(node);
    eventually("the node's group is gone", LIMIT, || (!own.exists()).then_some(()));
}

fn start(outer: &Arc<dyn Outer>, storage: Storage, mode: Mode, options: &[&str], share: &Share) -> Node {
    let file = format!("DIND_STORAGE_IMAGE=/data/{}", unique("image"));
    let volume = share.volume();
    let mut all = [&OWN[..], &SLOW, options, &["--volume", &volume]].concat();
    if storage == Storage::Loop {
        all.extend(["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=512MiB"]);
        all.extend(["--env", &file]);
    }
    if matches!(mode, Mode::Bridged(_)) {
        all.extend(["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"]);
    }
    Node::of_engine(outer.clone(), &image(), &all, &MAIN)
}

/// The limited container sees its limits. It is on a user network, whose MTU is the default bridge's only with newer
/// engines.
///
/// # Panics
/// It does not.
pub fn limits_arrive(share: &Share, version: &str) {
    let major: u64 = version.split('.').next().unwrap().parse().unwrap();
    let mtu = if major < MTU_FOR_ALL_NETWORKS { "1500" } else { MTU };
    assert_eq!(share.words("limits"), ["67108864", "50000", "100000", "50", mtu], "engine {version}");
}

/// The other one is on the default bridge, reaches what it should, and is outside of the outer network.
///
/// # Panics
/// It is not.
pub fn connected(share: &Share, outer: &str) {
    let address = address(share);
    assert!(!address.starts_with(outer), "{address}");
}

/// The other one is on the outer network, in the inner range, and answers there.
///
/// # Panics
/// It is not.
pub fn connected_bridged(share: &Share, range: &str, ping: impl FnOnce(&str) -> Ended) {
    let address = address(share);
    assert!(address.starts_with(range), "{address}");
    let ping = ping(&address);
    assert_eq!(ping.status, 0, "the host does not reach {address}: {ping:?}");
}

fn address(share: &Share) -> String {
    let words = share.words("connected");
    let [address, rest @ ..] = words.as_slice() else { panic!("the container has no address") };
    assert_eq!(rest, [MTU, "reached"], "{address} to the gateway");
    address.clone()
}

/// What runs inside is in the own group of the node with this directory in /proc. Returns the group's directory.
///
/// # Panics
/// It is not.
#[must_use]
pub fn in_the_group_of(node: &Path, id: &str) -> PathBuf {
    let own = group_of(node).expect("it is in a group");
    let own = own.trim_end_matches("/init");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut groups = processes.filter_map(|entry| group_of(&entry.path()));
    let inner =
        groups.find(|group| group.contains(id)).expect("the host sees the inner container's processes");
    assert!(inner.starts_with(&format!("{own}/")), "{inner} is not below {own}");
    let memory = Path::new("/sys/fs/cgroup/memory");
    let root = if memory.is_dir() { memory } else { Path::new("/sys/fs/cgroup") };
    root.join(own.trim_start_matches('/'))
}

/// The memory controller's group of a process, as the host sees it, by its directory in /proc. None where there is none.
fn group_of(process: &Path) -> Option<String> {
    let groups = parse_cgroups(&fs::read_to_string(process.join("cgroup")).ok()?);
    let of = |controller| groups.iter().find(|group| group.controllers == controller);
    of("memory").or_else(|| of("")).map(|group| group.path.clone())
}
