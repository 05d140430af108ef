//! What runs in a virtual machine: the support table's cells, the reduced set of privileges, and what needs every
//! capability. One program, so that there is always a test for each of the guest's processors.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "reduced.rs"]
mod reduced;
#[path = "support.rs"]
mod support;

use dind_tests::outer::{Node, image, inner_image, unique};
use serde_json::Value;

/// Emulated, a second's work takes ten.
const PATIENT: [&str; 2] = ["--env", "DIND_READY_TIMEOUT=3m"];

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
fn a_loop_image_grows_while_it_is_mounted_and_an_inner_container_is_privileged() {
    let file = format!("DIND_STORAGE_IMAGE=/data/{}", unique("image"));
    let storage =
        ["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=256MiB", "--env", &file];
    let node = Node::start(&[&PATIENT[..], &storage].concat(), &["sleep", "infinity"]);
    node.until_running();
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

    let mount = "mount -t tmpfs none /tmp && test -e /dev/loop-control && echo mounted";
    let inner = inner_image();
    assert_eq!(node.inner(&["run", "--rm", "--privileged", &inner, "sh", "-c", mount]), "mounted");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}
