//! What is there after the next start: the files of a seed's layers are mounted again each time.

use crate::fixtures::{
    APP, BASE, DataRoot, Seed, Usual, build, env, has_warned, listed, names, run, usual_images,
};
use dind_tests::cell::Storage;
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, docker, inner_image, is_attached};

#[test]
fn after_a_stop_and_after_a_kill_everything_is_there_again_on_a_volume() {
    let usual = Usual::get();
    everything_is_there_again(Storage::Native, &usual, &usual.directory);
}

#[test]
fn after_a_stop_and_after_a_kill_everything_is_there_again_in_a_loop_image() {
    let usual = Usual::get();
    everything_is_there_again(Storage::Loop, &usual, &usual.squashfs);
}

fn everything_is_there_again(storage: Storage, usual: &Usual, seed: &Seed) {
    let before = seed.fingerprint();
    let root = DataRoot::new(storage);
    let node = root.node(&[&seed.options()]);
    build(&node, "own:1", &format!("FROM {APP}\nRUN echo own >/own"));
    node.inner(&["run", "--name", "kept", APP, "sh", "-c", "echo kept >/kept; cat /app /kept"]);
    let comes_back = ["run", "--detach", "--name", "back", "--restart", "always", BASE, "sleep", "1000"];
    node.inner(&comes_back);
    let images = listed(&node);
    for kill in [false, true, true] {
        if kill {
            docker(&["kill", &node.name]).ok();
            assert_eq!(node.exit_status(), 137);
        } else {
            assert_eq!(node.stop().0, 143, "{}", node.log());
        }
        node.start_again();
        assert_eq!(listed(&node), images);
        assert_eq!(run(&node, "own:1", "cat /base /app /own"), "base\napp\nown");
        assert_eq!(node.inner(&["start", "--attach", "kept"]), "app\nkept");
        eventually("what is to be restarted always runs", LIMIT, || {
            let shown = node.inner_docker(&["exec", "back", "cat", "/base"]);
            (shown.stdout == "base").then_some(())
        });
    }
    assert!(images.lines().count() == usual.listed.lines().count() + 1, "{images}");
    // Another container with the same data root, as after an update of the node's image.
    drop(node);
    let node = root.node(&[&seed.options()]);
    assert_eq!(listed(&node), images);
    assert_eq!(node.inner(&["start", "--attach", "kept"]), "app\nkept");
    assert_eq!(node.stop().0, 143, "{}", node.log());
    drop(node);
    assert!(!is_attached(&seed.place), "a loop device is left");
    assert_eq!(seed.fingerprint(), before);
}

#[test]
fn an_image_that_its_user_removed_stays_away_until_it_is_asked_for() {
    let usual = Usual::get();
    let root = DataRoot::native();
    let seed = usual.directory.options();
    let node = root.node(&[&seed]);
    node.inner(&["rmi", APP]);
    node.inner(&["tag", BASE, "renamed:1"]);
    node.inner(&["rmi", BASE]);
    let left = [inner_image(), "renamed:1".to_owned()];
    assert_eq!(names(&node), left);
    for _ in 0..2 {
        assert_eq!(node.stop().0, 143, "{}", node.log());
        node.start_again();
        assert_eq!(names(&node), left);
        assert!(!has_warned(&node, "seed-images-removed"), "{}", node.log());
    }
    drop(node);

    let restored = || root.node(&[&seed, &env("DIND_STORAGE_SEED_RESTORE=true")]);
    let mut all = usual_images();
    all.push("renamed:1".to_owned());
    all.sort();
    let node = restored();
    assert_eq!(names(&node), all);
    assert_eq!(run(&node, APP, "cat /base /app"), "base\napp");
    // All of them, and once more.
    node.inner(&["system", "prune", "--all", "--force"]);
    assert_eq!(names(&node), [""; 0]);
    drop(node);
    let node = root.node(&[&seed]);
    assert_eq!(names(&node), [""; 0]);
    drop(node);
    assert_eq!(names(&restored()), usual_images());
}
