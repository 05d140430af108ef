//! A node's life on podman: its end within podman's ten seconds, kills, its health, and what is left of it.

use crate::{network, node};
use dind_tests::outer::{
    LIMIT, LOOP, Node, Outer, Podman, Share, inner_image, is_attached, on_host, setting,
};
use dind_tests::{eventually, promise, unique};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Writes down that it got TERM.
const ASKED: &str = "trap 'echo TERM >/share/stopped; exit 0' TERM; touch /share/runs; sleep infinity & wait";

#[test]
fn podman_s_stop_is_in_order_and_rm_leaves_nothing() {
    for (runtime, prefix) in [("runc", "10.213"), ("crun", "10.214")] {
        let podman = Podman::with(runtime);
        let network = network(&podman, prefix, "1500");
        let bridge =
            podman.client(&["network", "inspect", "--format", "{{.NetworkInterface}}", &network.name]).ok();
        let (share, file) = (Share::new(), unique("image"));
        let (volume, location) = (share.volume(), format!("DIND_STORAGE_IMAGE=/data/{file}"));
        let own = ["--volume", &volume, "--env", &location, "--env", "DIND_STOP_BUDGET=9s"];
        let node = node(&podman, &network, &[&LOOP[..], &own].concat());
        node.until_running();
        node.inner_run(&Share::WITHIN, ASKED);
        share.until("runs");
        let id = podman.client(&["inspect", "--format", "{{.Id}}", &node.name]).ok();
        assert!(is_attached(&file) && !traces(&podman, &id, &bridge).is_empty(), "{id} {bridge}");

        let (status, took) = node.stop();
        assert_eq!(status, 143, "{}", node.log());
        // podman kills what it has asked for ten seconds.
        promise("podman stop", took, Duration::from_secs(10));
        assert!(share.path("stopped").exists(), "the inner container got no TERM: {}", node.log());
        drop((node, network));
        eventually("nothing of the node is left", LIMIT, || {
            (!is_attached(&file) && traces(&podman, &id, &bridge).is_empty()).then_some(())
        });
    }
}

/// What is on the machine of a container and of its network.
fn traces(podman: &Podman, id: &str, bridge: &str) -> Vec<String> {
    let engine = setting("DIND_TEST_ENGINE_PID");
    let mounts = fs::read_to_string(format!("/proc/{engine}/mountinfo")).unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(id)).map(str::to_owned);
    let groups =
        podman.groups().into_iter().flat_map(|group| fs::read_dir(group).into_iter().flatten().flatten());
    let groups = groups.map(|entry| entry.path().display().to_string()).filter(|path| path.contains(id));
    let links = on_host(&["ip", "-brief", "link", "show"]).ok();
    let links = links.lines().filter(|line| line.starts_with(&format!("{bridge} "))).map(str::to_owned);
    let stores =
        ["overlay-containers", "volumes"].map(|name| podman.directory().join("root").join(name).join(id));
    let stores =
        stores.into_iter().filter(|path| Path::new(path).exists()).map(|path| path.display().to_string());
    mounts.chain(groups).chain(links).chain(stores).collect()
}

#[test]
fn a_node_of_podman_s_comes_back_after_a_restart_and_a_kill() {
    for (runtime, prefix) in [("runc", "10.215"), ("crun", "10.216")] {
        let podman = Podman::with(runtime);
        let network = network(&podman, prefix, "1500");
        let node = node(&podman, &network, &["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"]);
        node.until_running();
        let inner = node.inner_run(&["--restart", "always", "--memory", "64m"], "exec httpd -f -p 80");
        node.comes_back_after_a_restart_and_a_kill(&inner, || limited(&node, &inner));
    }
}

/// The limit as the container sees it, on cgroup v1 or v2.
fn limited(node: &Node, inner: &str) {
    let read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true";
    assert_eq!(node.inner(&["exec", inner, "sh", "-c", read]), (64 << 20).to_string());
}

/// podman takes the image's HEALTHCHECK from archives of docker's.
#[test]
fn podman_asks_for_the_node_s_health() {
    let podman = Podman::with("runc");
    let network = network(&podman, "10.217", "1500");
    let node = node(&podman, &network, &[]);
    node.until_running();
    let health = || podman.client(&["healthcheck", "run", &node.name]);
    assert_eq!(health().status, 0, "{}", node.log());
    // The engine does not answer, and does not end either.
    let engine = node.record()["engine_pid"].to_string();
    node.exec(&["sh", "-c", &format!("kill -STOP {engine}")]).ok();
    eventually("podman sees that the engine is stuck", LIMIT, || (health().status == 1).then_some(()));
    node.exec(&["sh", "-c", &format!("kill -CONT {engine}")]).ok();
    eventually("podman sees that the engine answers", LIMIT, || (health().status == 0).then_some(()));
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "well"]), "well");
}
