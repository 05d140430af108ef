//! A seed that is another one at the next start: its layers are the same where it was made of the same data root.

use crate::fixtures::{
    APP, BASE, DataRoot, Seed, build, build_usual, env, has_warned, names, preloading, run,
};
use dind_tests::outer::{Node, inner_image};

/// An image that the later seed no longer has.
const OLD: &str = "old:1";
/// One that only the later seed has.
const NEW: &str = "new:1";

/// A seed, and one of the same data root after its images have changed.
fn seeds() -> [Seed; 2] {
    let root = DataRoot::native();
    let node = root.node(&[&preloading()]);
    build_usual(&node);
    build(&node, OLD, &format!("FROM {BASE}\nRUN echo old >/old"));
    drop(stopped(node));
    let first = root.seal("dir", &[]);
    let node = root.node(&[]);
    node.inner(&["rmi", OLD]);
    build(&node, NEW, &format!("FROM {BASE}\nRUN echo new >/new"));
    drop(stopped(node));
    [first, root.seal("dir", &[])]
}

fn stopped(node: Node) -> Node {
    assert_eq!(node.stop().0, 143, "{}", node.log());
    node
}

fn sorted(images: &[&str]) -> Vec<String> {
    let inner = inner_image();
    let mut images: Vec<_> = images.iter().copied().chain([inner.as_str()]).map(str::to_owned).collect();
    images.sort();
    images
}

#[test]
fn with_a_new_seed_what_it_still_has_stays_and_what_it_no_longer_has_is_kept_for_the_old_one() {
    let [first, second] = seeds();
    let root = DataRoot::native();
    let node = root.node(&[&first.options()]);
    assert_eq!(names(&node), sorted(&[APP, BASE, OLD]));
    for (name, image) in [("on-base", BASE), ("on-old", OLD)] {
        build(&node, &format!("{name}-too"), &format!("FROM {image}\nRUN echo {name} >/own"));
        let script = format!("echo {name} >>/kept; cat /kept");
        node.inner(&["run", "--name", name, image, "sh", "-c", &script]);
    }
    drop(stopped(node));

    let refused = root.start(&[&second.options()]);
    assert_eq!(refused.exit_status(), 125, "{}", refused.log());
    let log = refused.log();
    for named in ["seed-needed", "on-old", "on-old-too", "DIND_STORAGE_SEED_MISSING=set-aside"] {
        assert!(log.contains(named), "{named}: {log}");
    }
    assert!(!log.contains("on-base"), "{log}");
    drop(refused);

    let node = root.node(&[&second.options(), &env("DIND_STORAGE_SEED_MISSING=set-aside")]);
    assert_eq!(names(&node), sorted(&[APP, BASE, NEW, "on-base-too:latest"]));
    assert!(
        has_warned(&node, "seed-images-removed") && has_warned(&node, "seed-images-set-aside"),
        "{}",
        node.log()
    );
    assert!(node.log().contains(OLD) && node.log().contains("on-old-too:latest"), "{}", node.log());
    assert_eq!(run(&node, NEW, "cat /base /new"), "base\nnew");
    assert_eq!(run(&node, "on-base-too:latest", "cat /base /own"), "base\non-base");
    assert_eq!(node.inner(&["start", "--attach", "on-base"]), "on-base\non-base");
    assert_eq!(node.inner(&["ps", "--all", "--format", "{{.Names}}"]), "on-base");
    drop(stopped(node));

    let node = root.node(&[&first.options()]);
    assert_eq!(names(&node), sorted(&[APP, BASE, OLD, "on-base-too:latest", "on-old-too:latest"]));
    assert_eq!(run(&node, "on-old-too:latest", "cat /base /old /own"), "base\nold\non-old");
    assert_eq!(node.inner(&["start", "--attach", "on-old"]), "on-old\non-old");
    assert_eq!(node.inner(&["start", "--attach", "on-base"]), "on-base\non-base\non-base");
    drop(stopped(node));
}

#[test]
fn a_seed_that_has_grown_brings_what_is_new_without_a_word() {
    let [first, second] = seeds();
    let root = DataRoot::native();
    drop(stopped(root.node(&[&second.options()])));
    let node = root.node(&[&first.options(), &env("DIND_STORAGE_SEED_MISSING=refuse")]);
    assert_eq!(names(&node), sorted(&[APP, BASE, OLD]));
    assert!(has_warned(&node, "seed-images-removed") && node.log().contains(NEW), "{}", node.log());
    drop(stopped(node));
    let node = root.node(&[&crate::fixtures::given(&[&first, &second])]);
    assert_eq!(names(&node), sorted(&[APP, BASE, NEW, OLD]));
    assert!(!has_warned(&node, "seed-images-removed"), "{}", node.log());
    assert_eq!(run(&node, NEW, "cat /base /new"), "base\nnew");
}
