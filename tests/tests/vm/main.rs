//! What runs in a virtual machine: the support table's cells, the reduced set of privileges, and what needs every
//! capability; `userns` and `blocked`, where the engine maps users. One program, so that there is always a test for each of the guest's processors.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod apparmor;
mod apparmor_alone;
mod blocked;
mod rootless;
mod systemd;
mod userns;

use dind_tests::outer::{Node, image, inner_image};
use serde_json::Value;

/// Emulated, a second's work takes ten.
const SLOW: [&str; 2] = ["--env", "DIND_READY_TIMEOUT=3m"];

/// An engine ran in the container before anybody prepared it, and has run a container.
#[test]
fn an_engine_that_was_started_unprepared_does_no_lasting_harm() {
    let script = "dockerd >/log 2>&1 & engine=$!
        until grep --quiet 'API listen on' /log; do kill -0 $engine || { cat /log; exit 1; }; sleep 0.5; done
        docker load --quiet --input /preload/inner.tar >/dev/null
        docker run --rm $1 true
        kill $engine; wait $engine
        dind-launch prepare && exec dind-launch run -- sleep infinity";
    let options = [&SLOW[..], &["--privileged", "--entrypoint", "sh"]].concat();
    let node = Node::of_image(&image(), &options, &["-c", script, "sh", &inner_image()]);
    node.until_running();
    let limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true";
    let read = node.inner(&["run", "--rm", "--memory", "64m", &inner_image(), "sh", "-c", limit]);
    assert_eq!(read, (64 << 20).to_string());
}

/// The engine's loop image grows while it is mounted, and an inner container that is privileged mounts what it likes.
fn grows_and_gives_every_privilege(node: &Node, inner: &str) {
    let size = || -> u64 {
        let shown = node.exec(&["stat", "--file-system", "--format", "%b %S", "/srv/docker"]).ok();
        shown.split(' ').map(|word| word.parse::<u64>().unwrap()).product()
    };
    let before = size();
    let grown = node.exec(&["env", "VAR_LIB_DOCKER_SIZE=768MiB", "dind-storage", "apply"]).ok();
    let grown: Value = serde_json::from_str(&grown).unwrap();
    assert_eq!((&grown["changed"], &grown["warnings"]), (&true.into(), &serde_json::json!([])), "{grown}");
    assert!(size() > before + (200 << 20), "{before} -> {}", size());
    assert_eq!(node.inner(&["volume", "ls", "--quiet"]), "kept");

    let mount =
        "mount -t tmpfs none /tmp && test -e /dev/loop-control && echo mounted >/kept/file && cat /kept/file";
    assert_eq!(node.inner(&["exec", inner, "sh", "-c", mount]), "mounted");
}

/// The support table's cells. One looks at more here: not every machine has the capabilities for it.
mod matrix {
    use dind_tests::cell::{Mode, Storage, cell, cell_with};

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
        let options = ["--privileged", "--volume", "kept:/kept"];
        let more = super::grows_and_gives_every_privilege;
        cell_with(Storage::Loop, Mode::Default("10.233"), "host", &options, more);
    }

    #[test]
    fn loop_bridged() {
        cell(Storage::Loop, Mode::Bridged("10.234"), "private");
    }
}

mod reduced {
    #[test]
    fn the_reduced_set_makes_a_whole_node() {
        dind_tests::reduced::makes_a_whole_node("reduced");
    }
}
