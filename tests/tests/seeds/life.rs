//! What one does with images: those of a seed are like any others, and the seed stays as it is.

use crate::fixtures::{
    APP, BASE, DataRoot, Seed, Usual, archive_of, build, disk_of_images, listed, names, run, seeds,
    usual_images,
};
use dind_tests::cell::Storage;
use dind_tests::outer::{Node, Registry, inner_image};

/// What nodes with the usual seed hold themselves at most, apart from what their users write.
const OWN_BYTES: u64 = 4 << 20;

#[test]
fn on_a_volume_the_images_of_a_directory_are_like_any_others() {
    let usual = Usual::get();
    let root = DataRoot::new(Storage::Native);
    let empty = {
        let node = root.node(&[]);
        assert_eq!(node.stop().0, 143);
        drop(node);
        root.bytes()
    };
    let node = root.node(&[&usual.directory.options()]);
    let own = root.bytes() - empty;
    assert!(own < OWN_BYTES, "the node holds {own} bytes");
    like_any_others(&node, &usual, &usual.directory);
}

#[test]
fn in_a_loop_image_the_images_of_an_erofs_are_like_any_others() {
    let usual = Usual::get();
    let root = DataRoot::new(Storage::Loop);
    like_any_others(&root.node(&[&usual.erofs.options()]), &usual, &usual.erofs);
}

#[test]
fn in_a_loop_image_the_images_of_a_directory_are_like_any_others() {
    let usual = Usual::get();
    let root = DataRoot::new(Storage::Loop);
    like_any_others(&root.node(&[&usual.directory.options()]), &usual, &usual.directory);
}

#[test]
fn on_a_volume_the_images_of_a_squashfs_are_like_any_others() {
    let usual = Usual::get();
    let root = DataRoot::new(Storage::Native);
    like_any_others(&root.node(&[&usual.squashfs.options()]), &usual, &usual.squashfs);
}

fn like_any_others(node: &Node, usual: &Usual, seed: &Seed) {
    let before = seed.fingerprint();
    assert_eq!(listed(node), usual.listed);
    assert_eq!(disk_of_images(node), usual.disk);
    let reported = seeds(node);
    assert_eq!(reported[0]["images"].as_array().unwrap().len(), usual_images().len(), "{reported}");

    // Files of all layers, one that a layer hides, and what a container writes over and removes.
    let seen = "cat /base /app; [ ! -e /bin/vi ] && [ -d /bin/vi.d ] && echo hidden";
    assert_eq!(run(node, APP, seen), "base\napp\nhidden");
    let writes = "echo mine >/base && rm -r /app /bin/vi.d && ls / | grep -c app; cat /base";
    assert_eq!(node.inner_docker(&["run", "--name", "writes", APP, "sh", "-c", writes]).stdout, "0\nmine");
    assert_eq!(run(node, APP, seen), "base\napp\nhidden", "another container sees nothing of that");

    node.inner(&["commit", "writes", "committed"]);
    assert_eq!(run(node, "committed", "cat /base; ls / | grep -c app || true"), "mine\n0");
    build(node, "built", &format!("FROM {APP}\nRUN echo built >>/app && rm /base"));
    assert_eq!(run(node, "built", "cat /app; ls / | grep -c base || true"), "app\nbuilt\n0");
    assert_eq!(archive_of(node, APP), usual.archive, "the archive has the very same files");
    let archive = archive_of(node, "built");
    assert!(archive.lines().count() > usual.archive.lines().count(), "{archive}");

    // An image goes with the layers that no other needs, and only from this data root.
    node.inner(&["rm", "writes"]);
    node.inner(&["rmi", "committed"]);
    node.inner(&["rmi", BASE]);
    assert!(!names(node).contains(&BASE.to_owned()));
    assert_eq!(run(node, "built", "cat /app"), "app\nbuilt", "its layers are needed by others");
    node.inner(&["rmi", "--force", APP, "built"]);
    assert_eq!(names(node), [inner_image()]);
    node.inner(&["system", "prune", "--all", "--force"]);
    assert_eq!(names(node), [""; 0]);
    let layers = "ls $(docker info --format '{{.DockerRootDir}}')/overlay2";
    assert_eq!(node.exec(&["sh", "-c", layers]).ok(), "l", "no directory of a layer is left");
    assert_eq!(seed.fingerprint(), before);
}

#[test]
fn an_image_of_a_seed_is_pushed_whole_and_is_the_same_when_it_is_pulled() {
    let usual = Usual::get();
    let root = DataRoot::native();
    let node = root.node(&[&usual.directory.options()]);
    let registry = Registry::in_node(&node);
    let pushed = format!("{}/team/app:1", registry.address);
    node.inner(&["tag", APP, &pushed]);
    node.inner(&["push", "--quiet", &pushed]);
    node.inner(&["system", "prune", "--all", "--force"]);
    node.inner(&["pull", "--quiet", &pushed]);
    assert_eq!(names(&node), std::slice::from_ref(&pushed));
    let archive = archive_of(&node, &pushed);
    let layers = |archive: &str| {
        let of_layers = |line: &&str| line.ends_with("layer.tar") || line.contains("blobs/sha256");
        let digest = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
        archive.lines().filter(of_layers).map(digest).collect::<Vec<_>>()
    };
    let (pulled, original) = (layers(&archive), layers(&usual.archive));
    assert!(!original.is_empty() && original.iter().all(|layer| pulled.contains(layer)), "{archive}");
    assert_eq!(run(&node, &pushed, "cat /app"), "app");
}
