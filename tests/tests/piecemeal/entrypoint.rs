//! Whole nodes from shell entrypoints, as they stand beside the documentation.

use crate::images::Image;
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, Share, docker, inner_image};
use std::fs;

/// Ends with 42 when it is asked to; it is started when the engine answers.
const MAIN: [&str; 3] = ["sh", "-c", "trap 'exit 42' TERM; touch /share/main; sleep infinity & wait"];

/// Leaves a line at its start and at its stop signal.
const INNER: &str =
    "trap 'echo TERM >>/share/asked; exit 0' TERM; echo up >>/share/up; sleep infinity & wait";

struct Entrypoint {
    share: Share,
    node: Node,
    _image: Image,
}

impl Entrypoint {
    /// A node with an inner container that comes back as often as the engine does.
    fn start(script: &str) -> Self {
        let (image, share) = (Image::entrypoint(script), Share::new());
        let options = ["--privileged", "--volume", &share.volume(), "--health-interval", "1s"];
        let node = Node::of_image(&image.0, &options, &MAIN);
        let it = Self { share, node, _image: image };
        it.until_main();
        it.node.exec(&["docker", "load", "--quiet", "--input", "/preload/inner.tar"]).ok();
        let always = ["--detach", "--name", "inner", "--restart", "unless-stopped"];
        it.node
            .inner(&[&["run"], &always[..], &Share::WITHIN, &[&inner_image(), "sh", "-c", INNER]].concat());
        it.until_up();
        it
    }

    fn until_main(&self) {
        eventually("the main process runs", LIMIT, || {
            let running = docker(&["inspect", "--format", "{{.State.Running}}", &self.node.name]).ok();
            assert_eq!(running, "true", "the node has ended: {}", self.node.log());
            self.share.path("main").exists().then_some(())
        });
        fs::remove_file(self.share.path("main")).unwrap();
    }

    /// Waits until the inner container has started once more.
    fn until_up(&self) {
        self.share.until("up");
        fs::remove_file(self.share.path("up")).unwrap();
    }

    /// How often the inner container was asked to end since this was asked last.
    fn asked(&self) -> usize {
        let text = fs::read_to_string(self.share.path("asked")).unwrap_or_default();
        let _ = fs::remove_file(self.share.path("asked"));
        text.lines().count()
    }
}

fn lives(script: &str) {
    let it = Entrypoint::start(script);
    let status = it.node.exec(&["dind-launch", "status", "--healthy"]);
    assert!(status.stdout.contains(r#""state":"external""#), "{}", status.stdout);
    eventually("Docker sees that it is healthy", LIMIT, || {
        let health = docker(&["inspect", "--format", "{{.State.Health.Status}}", &it.node.name]).ok();
        (health == "healthy").then_some(())
    });

    docker(&["restart", "--time", "10", &it.node.name]).ok();
    assert_eq!(it.asked(), 1, "the ordered stop of a restart");
    it.until_main();
    it.until_up();

    docker(&["kill", &it.node.name]).ok();
    assert_eq!(it.node.exit_status(), 137);
    docker(&["start", &it.node.name]).ok();
    it.until_main();
    it.until_up();
    assert_eq!(it.asked(), 0, "a kill asks nobody");

    assert_eq!(it.node.stop().0, 42, "the main process' own: {}", it.node.log());
    assert_eq!(it.asked(), 1, "the ordered stop: {}", it.node.log());
}

#[test]
fn a_node_by_flags_is_restarted_killed_and_stopped() {
    lives("flags.sh");
}

#[test]
fn a_node_by_a_merged_daemon_json_is_restarted_killed_and_stopped() {
    lives("daemon-json.sh");
}

#[test]
fn a_node_with_storage_and_network_by_hand_is_restarted_killed_and_stopped() {
    lives("mixed.sh");
}

#[test]
fn what_the_user_has_in_daemon_json_wins() {
    let (image, share) = (Image::entrypoint("daemon-json.sh"), Share::new());
    fs::write(share.path("daemon.json"), r#"{"bip":"192.168.79.1/24","labels":["own=1"]}"#).unwrap();
    let own = format!("{}:/etc/docker/daemon.json:ro", share.path("daemon.json").display());
    let node =
        Node::of_image(&image.0, &["--privileged", "--volume", &share.volume(), "--volume", &own], &MAIN);
    let it = Entrypoint { share, node, _image: image };
    it.until_main();
    let gateway = "{{(index .IPAM.Config 0).Gateway}}";
    assert_eq!(it.node.inner(&["network", "inspect", "bridge", "--format", gateway]), "192.168.79.1");
    assert_eq!(it.node.inner(&["info", "--format", "{{.Labels}}"]), "[own=1]");
    assert_eq!(it.node.inner(&["info", "--format", "{{.Driver}}"]), "overlay2", "of the tools");
}
