//! A seed that is no longer given: the engine sees no image whose files are missing, and nothing of the user's is lost.

use crate::fixtures::{APP, DataRoot, Usual, build, env, has_warned, names, run, usual_images};
use dind_tests::cell::Storage;
use dind_tests::outer::Node;

fn stop(node: &Node) {
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn without_its_seed_a_data_root_has_no_image_of_it_and_says_so() {
    let usual = Usual::get();
    for storage in [Storage::Native, Storage::Loop] {
        let root = DataRoot::new(storage);
        let node = root.node(&[&usual.erofs.options()]);
        assert_eq!(names(&node), usual_images());
        stop(&node);
        drop(node);
        for again in [false, true] {
            let node = root.node(&[]);
            assert_eq!(names(&node), [""; 0]);
            assert_eq!(has_warned(&node, "seed-images-removed"), !again, "once: {}", node.log());
            stop(&node);
        }
        let node = root.node(&[&usual.erofs.options()]);
        assert_eq!(run(&node, APP, "cat /base /app"), "base\napp");
    }
}

#[test]
fn a_container_and_an_image_on_a_seed_that_is_gone_are_refused_set_aside_and_back() {
    let usual = Usual::get();
    let root = DataRoot::native();
    let node = root.node(&[&usual.directory.options()]);
    build(&node, "own:1", &format!("FROM {APP}\nRUN echo own >/own"));
    node.inner(&["run", "--name", "kept", APP, "sh", "-c", "echo kept >>/kept; cat /kept"]);
    stop(&node);
    drop(node);

    let refused = root.start(&[]);
    assert_eq!(refused.exit_status(), 125, "{}", refused.log());
    for named in ["seed-needed", "kept", "own:1", "DIND_STORAGE_SEED_MISSING=set-aside"] {
        assert!(refused.log().contains(named), "{named}: {}", refused.log());
    }
    drop(refused);

    for _ in 0..2 {
        let node = root.node(&[&env("DIND_STORAGE_SEED_MISSING=set-aside")]);
        assert_eq!(names(&node), [""; 0]);
        assert_eq!(node.inner(&["ps", "--all", "--quiet"]), "");
        // What an engine does with what it does not know must not reach what is set aside.
        node.inner(&["system", "prune", "--all", "--force", "--volumes"]);
        stop(&node);
    }

    let node = root.node(&[&usual.directory.options()]);
    let mut all = usual_images();
    all.push("own:1".to_owned());
    all.sort();
    assert_eq!(names(&node), all);
    assert_eq!(run(&node, "own:1", "cat /base /app /own"), "base\napp\nown");
    assert_eq!(node.inner(&["start", "--attach", "kept"]), "kept\nkept");
    assert_eq!(node.inner(&["ps", "--all", "--format", "{{.Names}}"]), "kept");
    stop(&node);
}

#[test]
fn a_seed_that_was_given_and_is_not_there_is_an_error() {
    let root = DataRoot::native();
    let node = root.start(&[&env("DIND_STORAGE_SEED=/nowhere")]);
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    assert!(node.log().contains("seed-missing") && node.log().contains("/nowhere"), "{}", node.log());
}
