//! Which inner containers run after the next start: those that would after a reboot of a Docker host.

use crate::fixtures::{Then, beside_others, forget, load_inner_image, running, start_inner, until_up};
use dind_tests::outer::{LIMIT, Node, Share, ShellImage, docker, image, readme_entrypoint};
use dind_tests::{eventually, stretched};
use std::fs;
use std::time::{Duration, Instant};

/// How a node ends and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Return {
    Restart,
    KillAndStart,
    MainEndsAndStart,
}

/// Each container's restart policy, what it does at its stop signal, and whether it runs again after an orderly end, and after
/// a kill: then the engine takes each of them for one that has failed.
const CONTAINERS: [(&str, &str, Then, [bool; 2]); 9] = [
    ("always", "always", Then::End(0), [true, true]),
    // Stopped by hand it stays down until the engine itself is started again (Docker, "Restart policy details").
    ("always-by-hand", "always", Then::End(0), [true, true]),
    ("failing", "on-failure", Then::End(3), [true, true]),
    ("killed", "unless-stopped", Then::Stay, [true, true]),
    ("no", "no", Then::End(0), [false, false]),
    ("no-failing", "no", Then::End(3), [false, false]),
    ("on-failure", "on-failure", Then::End(0), [false, true]),
    ("unless-stopped", "unless-stopped", Then::End(0), [true, true]),
    ("unless-stopped-by-hand", "unless-stopped", Then::End(0), [false, false]),
];

/// How long the engine may take to start them again, once it answers.
const BACK: Duration = Duration::from_secs(20);

/// Those that the user stops before.
const BY_HAND: [&str; 2] = ["always-by-hand", "unless-stopped-by-hand"];

/// The main process: it ends when it is asked to, and when the test says so.
const MAIN: [&str; 3] =
    ["sh", "-c", "trap 'exit 0' TERM; until [ -e /share/end ]; do sleep 0.05; done; rm /share/end"];

/// Waits until the engine answers.
fn until_answering(node: &Node) {
    eventually("the inner engine answers", LIMIT, || {
        (node.exec(&["docker", "version"]).status == 0).then_some(())
    });
}

/// Starts the containers, ends the node and starts it again in each of these ways, and checks each time which containers run.
fn check(node: &Node, share: &Share, ready: impl Fn(&Node), returns: &[Return]) {
    ready(node);
    load_inner_image(node);
    for (name, policy, then, _) in CONTAINERS {
        start_inner(node, name, &["--restart", policy, "--stop-timeout", "2"], then);
    }
    for way in returns {
        let stopped: Vec<_> = CONTAINERS
            .iter()
            .map(|one| one.0)
            .filter(|name| !running(node).contains(&(*name).to_owned()))
            .collect();
        stopped.iter().for_each(|name| drop(node.inner(&["start", name])));
        until_up(share, CONTAINERS.len());
        BY_HAND.iter().for_each(|name| drop(node.inner(&["stop", name])));
        forget(share);
        match way {
            Return::Restart => drop(docker(&["restart", "--time", "10", &node.name]).ok()),
            Return::KillAndStart => {
                docker(&["kill", &node.name]).ok();
                assert_eq!(node.exit_status(), 137);
                docker(&["start", &node.name]).ok();
            }
            Return::MainEndsAndStart => {
                fs::write(share.path("end"), "").unwrap();
                assert_eq!(node.exit_status(), 0);
                docker(&["start", &node.name]).ok();
            }
        }
        ready(node);
        let after_kill = usize::from(*way == Return::KillAndStart);
        let back: Vec<_> = CONTAINERS.iter().filter(|one| one.3[after_kill]).map(|one| one.0).collect();
        let mut seen = Vec::new();
        let deadline = Instant::now() + stretched(BACK);
        while seen != back && Instant::now() < deadline {
            seen = running(node);
        }
        assert_eq!(seen, back, "what runs after {way:?}");
    }
}

#[test]
fn bare_dockerd_is_the_measure() {
    let _machine = beside_others();
    let share = Share::new();
    let script = "rm -f /run/docker.pid /run/docker/containerd/containerd.pid; exec dockerd >/dev/null 2>&1";
    let options = ["--privileged", "--volume", &share.volume(), "--entrypoint", "sh"];
    let node = Node::of_image(&image(), &options, &["-c", script]);
    check(&node, &share, until_answering, &[Return::Restart, Return::KillAndStart]);
}

#[test]
fn a_node_with_a_main_process() {
    let _machine = beside_others();
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume()], &MAIN);
    let returns = [Return::Restart, Return::MainEndsAndStart, Return::KillAndStart];
    check(&node, &share, |node| _ = node.until_running(), &returns);
}

#[test]
fn a_node_that_is_its_engine() {
    let _machine = beside_others();
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume()], &[]);
    check(&node, &share, |node| _ = node.until_running(), &[Return::Restart, Return::KillAndStart]);
}

#[test]
fn a_node_with_a_shell_entrypoint() {
    let _machine = beside_others();
    let share = Share::new();
    let image = ShellImage::build(&readme_entrypoint());
    let node = Node::of_image(&image.name, &["--privileged", "--volume", &share.volume()], &MAIN);
    let returns = [Return::Restart, Return::MainEndsAndStart, Return::KillAndStart];
    check(&node, &share, until_answering, &returns);
}
