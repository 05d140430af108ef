//! Cgroups of nodes and of what runs in them, in both cgroup namespaces, of the version that the machine has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_system::proc::parse_cgroups;
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, docker, image};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const MIB: u64 = 1 << 20;

/// Where a container of its own cgroup namespace finds its limit of memory.
const V1_LIMIT: &str = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
const V2_LIMIT: &str = "/sys/fs/cgroup/memory.max";

/// The machine has cgroup v2, and with it one hierarchy.
fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The path of a process of the node in the hierarchy of the memory controller, as `docker exec` sees it.
fn path(node: &Node, pid: &str) -> String {
    let groups = parse_cgroups(&node.exec(&["cat", &format!("/proc/{pid}/cgroup")]).ok());
    let wanted = if is_v2() { "" } else { "memory" };
    let mut found = groups.iter().filter(|group| group.controllers.split(',').any(|name| name == wanted));
    found.next().expect("there is a memory controller").path.clone()
}

/// Whether the machine has a cgroup with this name.
fn has_cgroup(name: &str) -> bool {
    let found = Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", name]).output().unwrap();
    !found.stdout.is_empty()
}

#[test]
fn inner_containers_are_below_their_node_wherever_the_cgroups_come_from() {
    for options in [
        &["--cgroupns=private"][..],
        &["--cgroupns=host"],
        // The usual advice for Docker in Docker, by which inner containers end beside the node and outside of its limits.
        &["--cgroupns=host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"],
    ] {
        let main = ["sh", "-c", "cat /proc/self/cgroup; exec sleep infinity"];
        let node = Node::start(&[&["--memory", "1g"], options].concat(), &main);
        node.until_running();
        let document = &node.record()["documents"]["prepare"]["result"];
        let namespace = if options[0] == "--cgroupns=host" { "own" } else { "private" };
        assert_eq!(
            (&document["cgroup_version"], &document["cgroup_namespace"]),
            (&(if is_v2() { "v2" } else { "v1" }).into(), &namespace.into())
        );
        // The main process finds its cgroup where its mounts are.
        let places = docker(&["logs", &node.name]).stdout;
        if is_v2() {
            // On v2 processes are in a leaf.
            assert_eq!(places, "0::/init");
            node.exec(&["test", "-e", "/sys/fs/cgroup/init/cgroup.procs"]).ok();
        } else {
            assert!(
                places.lines().count() > 3 && places.lines().all(|line| line.ends_with(":/")),
                "{places}"
            );
        }

        let id = node.inner_run(&["--memory", "64m"], "exec sleep 1000");
        let pid = node.inner(&["inspect", "--format", "{{.State.Pid}}", &id]);
        let own = path(&node, "1");
        let own = own.trim_end_matches("/init").trim_end_matches('/');
        assert_eq!(path(&node, &pid), format!("{own}/docker/{id}"), "{options:?}");
        let limit = node.inner(&["exec", &id, "cat", if is_v2() { V2_LIMIT } else { V1_LIMIT }]);
        assert_eq!(limit, (64 * MIB).to_string());
        let usage = node.inner(&["stats", "--no-stream", "--format", "{{.MemUsage}}", &id]);
        assert!(usage.ends_with("/ 64MiB") && !usage.starts_with("0B"), "{usage}");
        assert!(has_cgroup(&id));
        assert_eq!(node.stop().0, 143, "{}", node.log());
        eventually("the cgroups are gone", LIMIT, || (!has_cgroup(&id)).then_some(()));
    }
}

#[test]
fn prepare_alone_lets_a_shell_script_find_its_cgroup_in_the_host_s_namespace() {
    let script = "dind-launch prepare; dind-launch prepare
        own=$(sed -n 's/.*:memory://p' /proc/self/cgroup) group=$(sed -n 's/^0:://p' /proc/self/cgroup)
        if [ -e /sys/fs/cgroup/memory ]; then cat /sys/fs/cgroup/memory$own/memory.limit_in_bytes
        else cat /sys/fs/cgroup${group%/init}/memory.max; fi";
    let run = ["run", "--rm", "--privileged", "--cgroupns=host", "--memory", "512m", "--entrypoint", "sh"];
    let output = docker(&[&run[..], &[&image(), "-c", script]].concat()).ok();
    let lines: Vec<&str> = output.lines().collect();
    let [first, second, limit] = lines.as_slice() else { panic!("{output}") };
    let document = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let (first, second) = (document(first), document(second));
    assert_eq!((&first["ok"], &first["changed"]), (&true.into(), &true.into()));
    assert_eq!((&second["ok"], &second["changed"]), (&true.into(), &false.into()), "{second}");
    assert_eq!(*limit, (512 * MIB).to_string());
}
