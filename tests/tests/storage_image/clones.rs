//! Nodes whose images are clones of one golden image.

use dind_tests::outer::{Node, SLEEP, inner_image};
use dind_tests::scratch;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn nodes_from_one_golden_image_are_engines_of_their_own_with_its_images() {
    let directory = scratch();
    let volume = format!("{}:/data", directory.path().display());
    let start = |variables: &[&str]| {
        let common = ["--volume", &volume, "--env", "DIND_DATA_ROOT=/srv/docker"];
        let variables: Vec<_> = variables.iter().flat_map(|text| ["--env", *text]).collect();
        Node::start(&[&common[..], &variables].concat(), SLEEP)
    };
    let golden = start(&["VAR_LIB_DOCKER_SIZE=512MiB"]);
    golden.until_running();
    let id = |node: &Node| node.inner(&["info", "--format", "{{.ID}}"]);
    let mut ids = BTreeSet::from([id(&golden)]);
    assert_eq!(golden.stop().0, 143, "{}", golden.log());
    fs::rename(directory.path().join("docker"), directory.path().join("golden")).unwrap();
    let before = fs::read(directory.path().join("golden")).unwrap();

    let clones = ["one", "two"].map(|name| {
        let image = format!("DIND_STORAGE_IMAGE=/data/{name}");
        start(&[&image, "DIND_STORAGE_IMAGE_FROM=/data/golden", "DIND_PRELOAD="])
    });
    for node in &clones {
        node.until_running();
        ids.insert(id(node));
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
        let image = &node.record()["documents"]["storage"]["result"]["image"];
        assert!(image["cloned"] == "copy" || image["cloned"] == "reflink", "{image}");
    }
    assert_eq!(ids.len(), 3, "{ids:?}");
    // A restart keeps the image, and the engine its id.
    clones[0].inner(&["tag", &inner_image(), "mine"]);
    assert_eq!(clones[0].stop().0, 143, "{}", clones[0].log());
    clones[0].start_again();
    assert!(ids.contains(&id(&clones[0])));
    assert_eq!(clones[0].inner(&["images", "--format", "{{.Repository}}", "mine"]), "mine");
    assert!(
        clones[0].log().contains("DIND_STORAGE_IMAGE_FROM=/data/golden has no effect"),
        "{}",
        clones[0].log()
    );
    assert!(fs::read(directory.path().join("golden")).unwrap() == before, "the golden image was changed");
}
