//! Archives that are loaded once, whoever has made them and wherever the engine keeps its images.

use dind_tests::outer::{Node, SLEEP, docker, engine_version, inner_image, setting};
use dind_tests::scratch_on_disk;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The first engine with an image store in containerd.
const CONTAINERD_STORE: (u64, u64) = (24, 0);

/// The stores that the engine under test has.
fn stores() -> &'static [&'static str] {
    if engine_version() < CONTAINERD_STORE { &["graph"] } else { &["graph", "containerd"] }
}

fn start(directory: &Path, store: &str, preload: &str) -> Node {
    let volume = format!("{}:/archives", directory.display());
    let (store, preload) = (format!("DIND_STORAGE_STORE={store}"), format!("DIND_PRELOAD={preload}"));
    Node::start(&["--volume", &volume, "--env", &store, "--env", &preload], SLEEP)
}

/// What `preload` has done since the node's start, and how often the engine has loaded an image, by its own account.
fn loads(node: &Node) -> (Value, usize) {
    node.until_running();
    let result = node.record()["documents"]["preload"]["result"].take();
    let events = "docker events --since 1 --until $(date +%s.%N) --filter event=load | wc -l";
    (result, node.exec(&["sh", "-c", events]).ok().parse().unwrap())
}

fn restart(node: &Node) {
    assert_eq!(node.stop().0, 143, "{}", node.log());
    docker(&["start", &node.name]).ok();
}

#[test]
fn archives_of_old_and_new_engines_are_loaded_once_into_either_store() {
    let directory = scratch_on_disk();
    let inner = Path::new(&setting("DIND_TEST_PRELOAD")).join("inner.tar");
    fs::copy(inner, directory.path().join("0-old.tar")).unwrap();
    let mut paths = vec!["/archives/0-old.tar".to_owned()];
    // Images with several names, with none, with another base, and compressed: as each store of this engine saves them.
    for store in stores() {
        let node = start(directory.path(), store, "/archives");
        node.until_running();
        let script = format!(
            "set -e
            printf 'FROM {inner}\nENV A=b\nLABEL of={store}\nEXPOSE 80\nVOLUME /v\nHEALTHCHECK CMD true\nRUN echo {store} >/made\n' |
                docker build --tag made:{store} -
            docker tag made:{store} registry.example/made:{store}
            printf 'FROM {inner}\nRUN echo nameless {store} >/made\n' | docker build --quiet --iidfile /nameless - >/dev/null
            docker save --output /archives/{store}-named.tar made:{store} registry.example/made:{store} {inner}
            docker save $(cat /nameless) | gzip >/archives/{store}-nameless.tar.gz
            chmod a+r /archives/*",
            inner = inner_image(),
        );
        node.exec(&["sh", "-c", &script]).ok();
        paths.extend(["named.tar", "nameless.tar.gz"].map(|name| format!("/archives/{store}-{name}")));
    }
    paths.sort();
    for store in stores() {
        let node = start(directory.path(), store, "/archives");
        let (result, count) = loads(&node);
        // What one archive brings may be in another.
        assert_eq!(result["loaded"][0], "/archives/0-old.tar", "{store}: {result}");
        assert!(count >= 3, "{store}: {count} loads");
        for again in ["the first", "the second"] {
            restart(&node);
            let expected = json!({"loaded": [], "present": paths});
            assert_eq!(loads(&node), (expected, 0), "{store}, {again} start again: {}", node.log());
        }

        // A name that leads elsewhere by now, and an image that is gone.
        let named = format!("made:{store}");
        node.inner(&["tag", &inner_image(), &named]);
        restart(&node);
        let archive = json!([format!("/archives/{store}-named.tar")]);
        assert_eq!(loads(&node).0["loaded"], archive, "{store}");
        assert_eq!(node.inner(&["run", "--rm", &named, "cat", "/made"]), *store);
        node.inner(&["rmi", &named]);
        restart(&node);
        assert_eq!(loads(&node).0["loaded"], archive, "{store}");
        assert_eq!(node.inner(&["run", "--rm", &named, "cat", "/made"]), *store);
    }
}
