//! Engines that keep their images elsewhere: a seed does not fit there, does no harm, and is not given in silence.

use crate::fixtures::{APP, DataRoot, Usual, env, has_warned, names, preloading, run, usual_images};
use dind_tests::outer::inner_image;
use dind_tests::scratch;
use std::fs;

/// The first engine with an image store in containerd.
const CONTAINERD_STORE: u64 = 24;

#[test]
fn with_the_image_store_of_containerd_a_seed_is_warned_of_and_does_no_harm() {
    let usual = Usual::get();
    let before = usual.directory.fingerprint();
    let (directory, root) = (scratch(), DataRoot::native());
    let file = directory.path().join("daemon.json");
    fs::write(&file, r#"{"features": {"containerd-snapshotter": true}}"#).unwrap();
    let volume = format!("{}:/etc/docker/daemon.json:ro", file.display());
    let settings = ["--volume".to_owned(), volume];
    let with_settings = || root.node(&[&usual.directory.options(), &settings, &preloading()]);

    let node = with_settings();
    let version = node.inner(&["version", "--format", "{{.Server.Version}}"]);
    let has_store = version.split('.').next().unwrap().parse::<u64>().unwrap() >= CONTAINERD_STORE;
    let status = node.inner(&["info", "--format", "{{.DriverStatus}}"]);
    assert_eq!(status.contains("io.containerd.snapshotter"), has_store, "{status}");
    assert_eq!(has_warned(&node, "seed-not-used"), has_store, "{}", node.log());
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    let expected = if has_store { vec![inner_image()] } else { usual_images() };
    assert_eq!(names(&node), expected);
    node.inner(&["system", "prune", "--all", "--force"]);
    assert_eq!(node.stop().0, 143, "{}", node.log());
    node.start_again();
    assert_eq!(node.stop().0, 143, "{}", node.log());
    drop(node);
    assert_eq!(usual.directory.fingerprint(), before);

    // The data root keeps containerd's store, and has the seed's images in the usual one as soon as that is asked for.
    if has_store {
        let node = root.node(&[&usual.directory.options()]);
        assert!(has_warned(&node, "seed-not-used") && names(&node) == [inner_image()], "{}", node.log());
        assert_eq!(node.stop().0, 143, "{}", node.log());
    }
    let node = root.node(&[&usual.directory.options(), &env("DIND_STORAGE_STORE=graph")]);
    if has_store {
        assert_eq!(names(&node), usual_images());
        assert_eq!(run(&node, APP, "cat /base /app"), "base\napp");
    }
    assert_eq!(node.stop().0, 143, "{}", node.log());
}
