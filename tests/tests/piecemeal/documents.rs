//! A shell entrypoint and the launcher: the tools find and decide the same.

use crate::images::Image;
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, SLEEP};
use serde_json::Value;

/// Where the script leaves the documents, and how the launcher's record names them.
const DOCUMENTS: [(&str, &str); 3] =
    [("/run/prepare.json", "prepare"), ("/run/storage.json", "storage"), ("/run/net.json", "net")];

#[test]
fn a_shell_entrypoint_and_the_launcher_get_the_same_documents() {
    let image = Image::entrypoint("daemon-json.sh");
    for data_root in ["/var/lib/docker", "/srv/docker"] {
        let data_root = format!("DIND_DATA_ROOT={data_root}");
        // In the host's cgroup namespace a script is helped in another way than a child of the launcher. The launcher asks for
        // forwarding by itself.
        let common = [
            "--cgroupns=private",
            "--env",
            &data_root,
            "--env",
            "VAR_LIB_DOCKER_SIZE=1",
            "--env",
            "DIND_NET_FORWARD=true",
        ];
        let shell = Node::of_image(&image.0, &[&["--privileged"], &common[..]].concat(), SLEEP);
        let launched = Node::start(&common, SLEEP);
        let record = launched.until_running().record();
        eventually("the engine of the shell entrypoint answers", LIMIT, || {
            (shell.exec(&["docker", "version"]).status == 0).then_some(())
        });
        for (path, stage) in DOCUMENTS {
            let document: Value = serde_json::from_str(&shell.exec(&["cat", path]).ok()).unwrap();
            assert_eq!(
                comparable(&document),
                comparable(&record["documents"][stage]),
                "{stage} with {data_root}"
            );
        }
        // Planned, nothing is different either: both nodes have been set up.
        for tool in ["dind-storage", "dind-net"] {
            let plan = |node: &Node| {
                let variable = format!("DIND_ENGINE_VERSION={}", record["engine_version"].as_str().unwrap());
                let plan = node.exec(&["env", &variable, tool, "plan"]).ok();
                comparable(&serde_json::from_str(&plan).unwrap())
            };
            assert_eq!(plan(&shell), plan(&launched), "{tool} plan with {data_root}");
        }
        // What the engine goes by.
        let merged: Value = serde_json::from_str(&shell.exec(&["cat", "/run/daemon.json"]).ok()).unwrap();
        for (key, value) in merged.as_object().unwrap() {
            assert_eq!(comparable(value), comparable(&record["daemon_json"][key]), "{key} of daemon.json");
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
