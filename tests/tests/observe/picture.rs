//! `dind-launch status --output svg`.

use dind_tests::outer::{Node, SLEEP};
use dind_tests::scratch;
use std::fs;

#[test]
fn the_start_of_a_real_node_is_a_picture_with_all_its_stages_and_programs() {
    let directory = scratch();
    let share = format!("{}:/pictures", directory.path().display());
    let node = Node::start(&["--hostname", "painted", "--volume", &share], SLEEP);
    node.until_running();
    let record = node.record();
    let picture = node.exec(&["dind-launch", "status", "--output", "svg"]).ok();
    let document = roxmltree::Document::parse(&picture).unwrap();
    let texts: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .collect();
    assert_eq!(texts[0], "Start of painted");
    assert!(texts[1].contains(record["engine_version"].as_str().unwrap()), "{texts:?}");
    for stage in record["stages"].as_array().unwrap() {
        assert!(texts.contains(&stage["name"].as_str().unwrap()), "{stage} in {texts:?}");
    }
    for program in [
        "dind-storage plan",
        "dind-net plan",
        "dind-storage apply",
        "dind-net apply",
        "containerd",
        "dockerd",
    ] {
        assert!(texts.contains(&program), "{program} in {texts:?}");
    }
    // With the chart for a terminal beside it, and as a file.
    let both =
        node.exec(&["dind-launch", "status", "--timeline", "--output", "svg", "--to", "/pictures/start.svg"]);
    assert!(both.status == 0 && both.stdout.is_empty() && both.stderr.contains("█"), "{both:?}");
    assert_eq!(fs::read_to_string(directory.path().join("start.svg")).unwrap().trim_end(), picture);
}
