//! The shell entrypoint of the README: it comes back after a restart and after a kill, and it ends with its engine.

use crate::fixtures::{
    Then, beside_others, forget, load_inner_image, marks, rounds, running, start_inner, until_up,
};
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
fn it_survives_restarts_and_kills() {
    let _machine = beside_others();
    let (image, share) = (ShellImage::build(&readme_entrypoint()), Share::new());
    let node = start(&image, &share, &[]);
    until_main(&node, &share);
    load_inner_image(&node);
    start_inner(&node, "inner", &["--restart", "unless-stopped"], Then::End(0));
    for _ in 0..rounds(3) {
        until_up(&share, 1);
        forget(&share);
        docker(&["restart", "--time", "10", &node.name]).ok();
        until_main(&node, &share);
        until_up(&share, 1);
        assert_eq!(running(&node), ["inner"]);
        assert_eq!(marks(&share)["inner"].len(), 1, "it was asked once, and not since its start");
        forget(&share);
        docker(&["kill", &node.name]).ok();
        assert_eq!(node.exit_status(), 137);
        docker(&["start", &node.name]).ok();
        until_main(&node, &share);
        until_up(&share, 1);
        assert_eq!(running(&node), ["inner"]);
    }
    assert_eq!(node.stop().0, 0);
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
