//! A shell script in the place of the launcher.

use crate::REPORTS_TERM;
use dind_tests::outer::{Node, SLEEP, Share, ShellImage, readme_entrypoint};
use dind_tests::promise;
use serde_json::Value;
use std::fs;
use std::time::Duration;

#[test]
fn the_readme_s_shell_entrypoint_makes_a_node() {
    let image = ShellImage::build(&readme_entrypoint());
    let share = Share::new();
    let main = "docker load -qi /preload/inner.tar; touch /share/main; trap 'exit 42' TERM; while :; do sleep 0.05; done";
    let node =
        Node::of_image(&image.name, &["--privileged", "--volume", &share.volume()], &["sh", "-c", main]);
    share.until("main");
    node.inner_run(&["--volume", "/share:/share", "--hostname", "inner"], REPORTS_TERM);
    share.until("up-inner");
    let (status, took) = node.stop();
    assert_eq!(status, 42, "{}", node.log());
    promise("docker stop", took, Duration::from_secs(9));
    assert!(share.path("inner").exists(), "the inner container got TERM: {}", node.log());
}

#[test]
fn a_shell_script_and_the_launcher_get_the_same_documents() {
    // The launcher asks the engine for its version, which decides between firewalls.
    let script = "#!/bin/sh\nset -eu\ndind-launch prepare >/share/prepare.json\ndind-storage apply >/share/storage.json\n\
                  export DIND_ENGINE_VERSION=$(dockerd --version | sed 's/^Docker version \\([^,]*\\),.*/\\1/')\n\
                  DIND_NET_FORWARD=true dind-net apply >/share/net.json\n";
    let image = ShellImage::build(script);
    for env in [
        ["DIND_DATA_ROOT=/var/lib/docker", "VAR_LIB_DOCKER_SIZE=1"],
        ["DIND_DATA_ROOT=/srv/docker", "VAR_LIB_DOCKER_SIZE=1"],
    ] {
        let share = Share::new();
        // In the host's cgroup namespace a script is helped in another way than a child of the launcher.
        let private = "--cgroupns=private";
        let options =
            ["--privileged", private, "--volume", &share.volume(), "--env", env[0], "--env", env[1]];
        let shell = Node::of_image(&image.name, &options, &[]);
        assert_eq!(shell.exit_status(), 0, "{}", shell.log());
        let launched = Node::start(&options[1..], SLEEP);
        let documents = launched.until_running().record()["documents"].clone();
        for stage in ["prepare", "storage", "net"] {
            let text = fs::read_to_string(share.path(&format!("{stage}.json"))).unwrap();
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
        Value::Array(items) => {
            // On a disk that is nearly full.
            items.retain(|item| item["code"] != "space-low");
            items.iter_mut().for_each(|value| *value = comparable(value));
        }
        _ => {}
    }
    document
}
