//! What root in a privileged node tries against a seed in a file: its file system and its loop device are read-only, whatever
//! the node mounts how. (Against the file itself it can do as much as it could against any file that it is given.)

use crate::fixtures::{APP, BASE, DataRoot, Seed, Usual, build, names, run, usual_images};
use dind_tests::cell::Storage;
use dind_tests::outer::{Node, SLEEP, docker, image, inner_image};
use dind_tests::{scratch, unique};
use std::fs;

/// Each has to fail. `$D` is the data root, `$L` a layer's files there, `$M` the seed's file system, `$B` its block device.
const ATTEMPTS: [(&str, &str); 11] = [
    ("to write into a layer", "echo changed >$L/base"),
    ("to remove a file of a layer", "rm $L/base"),
    ("to change the mode of a file", "chmod 777 $L/base"),
    ("to write after a remount of the bind", "mount -o remount,bind,rw $L; echo changed >$L/base"),
    ("to write after a remount of the seed", "mount -o remount,rw $M; echo changed >$M/overlay2/changed"),
    (
        "to write through a bind of its own",
        "mkdir -p /x && mount --bind $M /x && mount -o remount,bind,rw /x; >/x/changed",
    ),
    ("to write to the device", "dd if=/dev/zero of=$B bs=4096 count=1 conv=fsync"),
    (
        "to write to the device after BLKROSET",
        "blockdev --setrw $B; dd if=/dev/zero of=$B bs=4096 count=1 conv=fsync",
    ),
    (
        "to write to a mount of the device of its own",
        "mkdir -p /y && mount -o rw $B /y && echo changed >/y/changed",
    ),
    ("to discard the device", "blkdiscard --force $B"),
    ("to write from a container", "docker run --rm -v $L:/l INNER sh -c 'echo changed >/l/base'"),
];

const SURROUNDINGS: &str = "D=$(docker info --format '{{.DockerRootDir}}')
    L=$(grep -l base $D/overlay2/*/diff/base | head -n 1); L=${L%/base}
    M=$(echo $D/.dind-seed/mounts/*)
    B=$(awk -v m=$M '$2 == m { print $1 }' /proc/mounts)
    [ -d $L ] && [ -d $M/overlay2 ] && [ -b $B ] || exit 99";

/// Tries all of it in one node, and reads with another.
fn attempt(node: &Node, other: &Node, hash: &dyn Fn() -> String) {
    let before = hash();
    for (what, attempt) in ATTEMPTS {
        let script = format!("{SURROUNDINGS}\n{}", attempt.replace("INNER", &inner_image()));
        let tried = node.exec(&["sh", "-c", &script]);
        assert!(tried.status != 0 && tried.status != 99 && tried.status != 127, "{what}: {tried:?}");
        let known = ["Read-only file system", "Operation not permitted", "Permission denied", "read-only"];
        assert!(known.iter().any(|cause| tried.stderr.contains(cause)), "{what}: {tried:?}");
    }
    node.inner(&["rmi", "--force", APP, BASE]);
    node.inner(&["system", "prune", "--all", "--force"]);
    // The other node's cache must not be what is compared.
    other.exec(&["sh", "-c", "echo 3 >/proc/sys/vm/drop_caches"]).ok();
    assert_eq!(hash(), before);
    assert_eq!(run(other, APP, "cat /base /app"), "base\napp");
    build(other, "own:1", &format!("FROM {APP}\nRUN cat /base >/own"));
    assert_eq!(run(other, "own:1", "cat /own"), "base");
}

#[test]
fn of_a_seed_on_a_volume_a_node_changes_nothing() {
    let usual = Usual::get();
    for (seed, storage) in [(&usual.erofs, Storage::Native), (&usual.squashfs, Storage::Loop)] {
        let roots = [DataRoot::new(storage), DataRoot::new(storage)];
        let [node, other] = [0, 1].map(|of| roots[of].node(&[&seed.options()]));
        attempt(&node, &other, &|| seed.fingerprint());
    }
}

/// A node image with a seed in it. It is removed when its handle is dropped.
struct Baked(String);

impl Baked {
    fn build(seed: &Seed) -> Self {
        let context = scratch();
        fs::copy(seed.path(), context.path().join("images.seed")).unwrap();
        let recipe = format!(
            "FROM {}\nCOPY --chown=0:0 images.seed /usr/share/images.seed\n\
             RUN chmod 644 /usr/share/images.seed\nENV DIND_STORAGE_SEED=/usr/share/images.seed\n",
            image()
        );
        fs::write(context.path().join("Dockerfile"), recipe).unwrap();
        let name = unique("baked");
        docker(&["build", "--quiet", "--tag", &name, context.path().to_str().unwrap()]).ok();
        Self(name)
    }
}

impl Drop for Baked {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

#[test]
fn of_a_seed_in_the_image_a_node_changes_at_most_its_own_copy() {
    let usual = Usual::get();
    let baked = Baked::build(&usual.erofs);
    let start = || Node::of_image(&baked.0, &["--privileged", "--env", "DIND_PRELOAD="], SLEEP);
    let [node, other] = [start(), start()];
    for node in [&node, &other] {
        assert_eq!(names(node.until_running()), usual_images());
    }
    let hash = || other.exec(&["sha256sum", "/usr/share/images.seed"]).ok();
    let before = hash();
    attempt(&node, &other, &hash);
    node.exec(&["dd", "if=/dev/zero", "of=/usr/share/images.seed", "bs=4096", "count=1", "conv=fsync"]).ok();
    assert_eq!(hash(), before);
    assert_eq!(run(&other, APP, "cat /base /app"), "base\napp");
    // Its own copy is no seed any more.
    assert_eq!(node.stop().0, 143, "{}", node.log());
    docker(&["start", &node.name]).ok();
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    assert!(node.log().contains("seed-invalid"), "{}", node.log());
}
