//! Where the engine keeps its images: in a graph driver's store or in containerd's, and the change between them.

use super::{CONTAINERD_STORE, major};
use dind_tests::outer::{LIMIT, Node, SLEEP, docker, engine_version, inner_image};
use dind_tests::{eventually, scratch_on_disk, unique};
use tempfile::TempDir;

/// The first engine that chooses containerd's store by itself.
const PREFERS_CONTAINERD: u64 = 29;
/// The first version with the flag `--feature`.
const FEATURE_FLAG: (u64, u64) = (27, 3);

const GRAPH: &[&str] = &["--env", "DIND_STORAGE_STORE=graph"];
const CONTAINERD: &[&str] = &["--env", "DIND_STORAGE_STORE=containerd"];

/// What a node preloads would hide what its data root has.
const NO_PRELOAD: &[&str] = &["--env", "DIND_PRELOAD="];

/// The node's store and why, as the document has them, once the engine has been seen to use it.
fn store(node: &Node) -> String {
    let record = node.record();
    let store = &record["documents"]["storage"]["result"]["store"];
    let status = node.inner(&["info", "--format", "{{.DriverStatus}}"]);
    let in_containerd = status.contains("io.containerd.snapshotter");
    assert_eq!(store["name"] == "containerd", in_containerd, "{store} {status}");
    format!("{} {}", store["name"].as_str().unwrap(), store["reason"].as_str().unwrap())
}

fn warns_of_unseen_images(node: &Node) -> bool {
    let record = node.record();
    let warnings = record["warnings"].as_array().unwrap().iter();
    let of_storage = record["documents"]["storage"]["warnings"].as_array().cloned().unwrap_or_default();
    warnings.chain(&of_storage).any(|warning| warning["code"] == "images-not-seen")
}

fn has_image(node: &Node, name: &str) -> bool {
    !node.inner(&["images", "--quiet", name]).is_empty()
}

fn build(node: &Node, name: &str) {
    let script =
        format!("printf 'FROM {}\\nRUN echo {name} >/made\\n' | docker build --tag {name} -", inner_image());
    node.exec(&["sh", "-c", &script]).ok();
    assert_eq!(node.inner(&["run", "--rm", name, "cat", "/made"]), name);
}

/// Options for a data root in a directory: as it is, or in an image there.
fn data_root(directory: &TempDir, is_loop: bool) -> Vec<String> {
    let path = directory.path().display();
    let words: Vec<String> = if is_loop {
        // No two attached images may have one name: the kernel shows no more of them.
        let image =
            format!("DIND_STORAGE_IMAGE=/data/{}", directory.path().file_name().unwrap().to_str().unwrap());
        let env = ["DIND_DATA_ROOT=/srv/docker", "VAR_LIB_DOCKER_SIZE=512MiB", &image];
        let env = env.iter().flat_map(|variable| ["--env".to_owned(), (*variable).to_owned()]);
        ["--volume".to_owned(), format!("{path}:/data")].into_iter().chain(env).collect()
    } else {
        vec!["--volume".to_owned(), format!("{path}:/var/lib/docker")]
    };
    words
}

fn start(on: &[String], options: &[&str]) -> Node {
    let on: Vec<_> = on.iter().map(String::as_str).collect();
    Node::start(&[&on[..], options].concat(), SLEEP)
}

fn stop(node: Node) {
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn a_new_data_root_has_the_store_that_the_engine_would_choose_and_keeps_it() {
    for is_loop in [false, true] {
        let directory = scratch_on_disk();
        let on = data_root(&directory, is_loop);
        let node = start(&on, &[]);
        node.until_running();
        let name = if major(&node) >= PREFERS_CONTAINERD { "containerd" } else { "graph" };
        assert_eq!(store(&node), format!("{name} engine-default"));
        build(&node, "made:1");
        stop(node);
        let node = start(&on, NO_PRELOAD);
        node.until_running();
        assert_eq!(store(&node), format!("{name} kept"));
        assert!(has_image(&node, "made:1") && !warns_of_unseen_images(&node));
        stop(node);
    }
}

#[test]
fn images_move_to_containerd_on_request_and_back_and_survive_restarts_and_kills() {
    for is_loop in [false, true] {
        let directory = scratch_on_disk();
        let on = data_root(&directory, is_loop);
        let node = start(&on, GRAPH);
        node.until_running();
        let engine = major(&node);
        assert_eq!(store(&node), "graph asked");
        build(&node, "made:graph");
        stop(node);

        let node = start(&on, &[CONTAINERD, NO_PRELOAD].concat());
        if engine < CONTAINERD_STORE {
            assert_eq!(node.exit_status(), 125);
            assert!(
                node.log().contains("cannot use containerd's image store: engine 20.10 has none"),
                "{}",
                node.log()
            );
        } else {
            node.until_running();
            assert_eq!(store(&node), "containerd asked");
            assert!(warns_of_unseen_images(&node) && !has_image(&node, "made:graph"), "{}", node.log());
            stop(node);
            let node = start(&on, CONTAINERD);
            node.until_running();
            build(&node, "made:containerd");
            let options = ["--restart", "always", "--network", "own"];
            node.inner(&["network", "create", "own"]);
            let inner = node.inner_run(&options, "echo kept >/kept; sleep infinity");
            node.comes_back_after_a_restart_and_a_kill(&inner, || {
                assert_eq!(node.inner(&["exec", &inner, "cat", "/kept"]), "kept");
                assert_eq!(
                    node.inner(&["run", "--rm", "made:containerd", "cat", "/made"]),
                    "made:containerd"
                );
            });
            node.inner(&["rm", "--force", &inner]);
            node.inner(&["network", "rm", "own"]);
            stop(node);
        }

        // What is there of both: as the engine, `auto` takes what was there before containerd's.
        let node = start(&on, NO_PRELOAD);
        node.until_running();
        assert_eq!(store(&node), "graph kept");
        assert_eq!(warns_of_unseen_images(&node), engine >= CONTAINERD_STORE, "{}", node.log());
        assert!(has_image(&node, "made:graph") && !has_image(&node, "made:containerd"));
        if engine >= CONTAINERD_STORE {
            for image in node.inner(&["images", "--quiet"]).lines() {
                node.inner_docker(&["rmi", "--force", image]);
            }
            stop(node);
            // Nothing but containerd's is left.
            let node = start(&on, NO_PRELOAD);
            node.until_running();
            assert_eq!(store(&node), "containerd kept");
            assert!(has_image(&node, "made:containerd") && !warns_of_unseen_images(&node));
            stop(node);
        } else {
            stop(node);
        }
    }
}

#[test]
fn the_store_is_chosen_by_flags_where_the_engine_has_one_for_it() {
    let name = unique("flags");
    let script = "dind-launch prepare >/run/prepared || exit 1
        flags=$(dind-storage apply --output flags); echo \"flags $flags\"
        dockerd $flags";
    let options = ["run", "--detach", "--privileged", "--name", &name, "--entrypoint", "sh"];
    let image = dind_tests::outer::image();
    docker(&[&options[..], CONTAINERD, &[&image, "-c", script]].concat()).ok();
    let node = Node::named(name);
    eventually("the flags are known", LIMIT, || node.log().contains("flags --").then_some(()));
    let refused = match engine_version() {
        version if version >= FEATURE_FLAG => None,
        (major, _) if major >= CONTAINERD_STORE => Some("store-not-a-flag"),
        _ => Some("store-unusable"),
    };
    if let Some(code) = refused {
        // dockerd refuses the flag by name.
        assert_ne!(node.exit_status(), 0);
        assert!(node.log().contains(&format!("flags --dind-storage-failed={code}")), "{}", node.log());
        return;
    }
    let flags = "--feature=containerd-snapshotter=true --storage-driver=overlayfs";
    assert!(node.log().contains(flags), "{}", node.log());
    let status = eventually("dockerd answers", LIMIT, || {
        let info = node.exec(&["docker", "info", "--format", "{{.DriverStatus}}"]);
        (info.status == 0).then_some(info.stdout)
    });
    assert!(status.contains("io.containerd.snapshotter"), "{status}");
}

#[test]
fn options_of_a_storage_driver_that_the_engine_does_not_read_are_reported() {
    let options = ["--env", "DOCKER_DAEMON_ARGS=--storage-opt overlay2.override_kernel_check=true"];
    let node = Node::start(&options, SLEEP);
    node.until_running();
    let is_read = store(&node).starts_with("graph");
    let warning = node.log().lines().any(|line| line.contains("the engine ignores `storage-opts`"));
    assert_eq!(warning, !is_read, "{}", node.log());
}
