//! The shell entrypoint of the README: it ends with its engine. That it comes back is in the suite `piecemeal`.

use crate::fixtures::beside_others;
use dind_tests::outer::{LIMIT, Node, Share, ShellImage, docker, readme_entrypoint};
use dind_tests::{eventually, within};
use std::fs;
use std::time::{Duration, Instant};

/// Ends with 0 when it is asked to; it is started when the engine answers.
const MAIN: [&str; 3] = ["sh", "-c", "trap 'exit 0' TERM; touch /share/main; sleep infinity & wait"];

fn start(image: &ShellImage, share: &Share, options: &[&str]) -> Node {
    let volume = share.volume();
    Node::of_image(&image.name, &[&["--privileged", "--volume", &volume], options].concat(), &MAIN)
}

fn until_main(node: &Node, share: &Share) {
    eventually("the main process runs", LIMIT, || {
        let ended = docker(&["inspect", "--format", "{{.State.Running}}", &node.name]).ok() != "true";
        assert!(!ended, "the node has ended");
        share.path("main").exists().then_some(())
    });
    fs::remove_file(share.path("main")).unwrap();
}

#[test]
fn it_ends_with_an_engine_that_does_not_start() {
    let _machine = beside_others();
    let broken = readme_entrypoint().replace("dockerd ", "dockerd --no-such-flag ");
    assert!(broken.contains("dockerd --no-such-flag $"), "{broken}");
    let share = Share::new();
    fs::write(share.path("daemon.json"), "{ not json").unwrap();
    let bad_json = format!("{}:/etc/docker/daemon.json:ro", share.path("daemon.json").display());
    for (script, options) in [(broken, &[][..]), (readme_entrypoint(), &["--volume", &bad_json][..])] {
        let image = ShellImage::build(&script);
        let begun = Instant::now();
        let node = start(&image, &share, options);
        assert_ne!(node.exit_status(), 0);
        within("the end of a node whose engine does not start", begun.elapsed(), Duration::from_secs(10));
        assert!(!share.path("main").exists(), "the main process was started without an engine");
    }
}

#[test]
fn it_ends_with_its_engine() {
    let _machine = beside_others();
    let (image, share) = (ShellImage::build(&readme_entrypoint()), Share::new());
    let node = start(&image, &share, &[]);
    until_main(&node, &share);
    let begun = Instant::now();
    node.exec(&["sh", "-c", "kill -KILL $(cat /run/docker.pid)"]).ok();
    assert_eq!(node.exit_status(), 69, "main's own is 0");
    within("the end of a node whose engine was killed", begun.elapsed(), Duration::from_secs(5));
}
