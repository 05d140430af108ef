//! Seeds that share layers, data roots that have the same images of their own, and nodes that share a seed.

use crate::fixtures::{
    APP, BASE, DataRoot, Seed, Usual, build, given, listed, names, preloading, run, usual_images,
};
use dind_tests::outer::{Node, inner_image};
use dind_tests::scratch;
use serde_json::json;
use std::thread;

/// Loads images of a seed into a node as its own: the same layers under other names of the driver's.
fn load(usual: &Usual, node: &Node, images: &[&str]) {
    let (directory, root) = (scratch(), DataRoot::native());
    let archive = directory.path().join("archive.tar").display().to_string();
    let source = root.node(&[&usual.directory.options()]);
    source.inner(&[&["save", "--output", &archive], images].concat());
    node.inner(&["load", "--quiet", "--input", &archive]);
}

fn stop(node: &Node) {
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

/// A seed of another data root, which has one image upon one of the usual seed's.
fn another(usual: &Usual) -> Seed {
    let root = DataRoot::native();
    let node = root.node(&[]);
    load(usual, &node, &[APP]);
    build(&node, "more:1", &format!("FROM {APP}\nRUN echo more >/more"));
    stop(&node);
    drop(node);
    root.seal("dir", &[])
}

#[test]
fn of_two_seeds_with_the_same_layers_both_give_their_images_in_either_order() {
    let usual = Usual::get();
    let another = another(&usual);
    let mut all = usual_images();
    all.push("more:1".to_owned());
    all.sort();
    let root = DataRoot::native();
    for seeds in [[&usual.directory, &another], [&another, &usual.directory], [&usual.erofs, &another]] {
        let fresh = DataRoot::native();
        for root in [&fresh, &root] {
            let node = root.node(&[&given(&seeds)]);
            assert_eq!(names(&node), all);
            assert_eq!(run(&node, "more:1", "cat /base /app /more"), "base\napp\nmore");
            assert_eq!(run(&node, APP, "cat /base /app"), "base\napp");
            build(&node, "own:1", "FROM more:1\nRUN echo own >/own");
            assert_eq!(run(&node, "own:1", "cat /base /app /more /own"), "base\napp\nmore\nown");
            node.inner(&["rmi", "own:1"]);
            stop(&node);
        }
    }
}

#[test]
fn images_that_a_data_root_has_itself_stay_its_own() {
    let usual = Usual::get();
    let root = DataRoot::native();
    let node = root.node(&[]);
    load(&usual, &node, &[BASE]);
    node.inner(&["tag", BASE, APP]);
    let own = listed(&node);
    stop(&node);
    drop(node);

    // The seed has another image of the name that is taken here, and upon the layers that are the data root's own.
    let node = root.node(&[&usual.directory.options()]);
    let shown = listed(&node);
    assert!(own.lines().all(|line| shown.contains(line)), "{shown}\n{own}");
    assert_eq!(run(&node, APP, "cat /base; [ -e /app ] || echo own"), "base\nown");
    let seeded = usual.listed.lines().find(|line| line.contains(APP)).unwrap().split(' ').next().unwrap();
    assert_eq!(run(&node, seeded, "cat /base /app"), "base\napp");
    stop(&node);
    node.start_again();
    assert_eq!(run(&node, seeded, "cat /base /app"), "base\napp");
    stop(&node);
    drop(node);

    // It needs the seed for none of them, nor for an image of the seed that has nothing but layers of its own.
    let node = root.node(&[]);
    let whole = usual.listed.lines().filter(|line| line.contains(&inner_image()));
    let mut expected: Vec<_> = own.lines().chain(whole).collect();
    expected.sort_unstable();
    assert_eq!(listed(&node), expected.join("\n"));
    assert_eq!(run(&node, BASE, "cat /base"), "base");
}

#[test]
fn an_archive_is_not_loaded_where_a_seed_has_its_images() {
    let usual = Usual::get();
    let root = DataRoot::native();
    let node = root.node(&[&usual.directory.options(), &preloading()]);
    let preload = &node.record()["documents"]["preload"]["result"];
    assert_eq!((&preload["loaded"], &preload["present"]), (&json!([]), &json!(["/preload/inner.tar"])));
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
}

#[test]
fn ten_nodes_at_once_share_a_seed() {
    let usual = Usual::get();
    let before = (usual.directory.fingerprint(), usual.erofs.fingerprint());
    let roots: Vec<_> = (0..10).map(|_| DataRoot::native()).collect();
    thread::scope(|scope| {
        for (number, root) in roots.iter().enumerate() {
            let seed = if number % 2 == 0 { &usual.directory } else { &usual.erofs };
            scope.spawn(move || {
                let node = root.node(&[&seed.options()]);
                let script = format!("echo {number} >/base; cat /base /app");
                assert_eq!(run(&node, APP, &script), format!("{number}\napp"));
                build(&node, "own:1", &format!("FROM {APP}\nRUN echo {number} >/own"));
                node.inner(&["rmi", "--force", BASE]);
                assert_eq!(run(&node, "own:1", "cat /base /own"), format!("base\n{number}"));
                stop(&node);
            });
        }
    });
    assert_eq!((usual.directory.fingerprint(), usual.erofs.fingerprint()), before);
}
