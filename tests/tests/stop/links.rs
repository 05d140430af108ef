//! The network of containers that have ended.

use crate::fixtures::{Then, beside_others, load_inner_image, marks, start_inner, until_up};
use dind_tests::outer::{LIMIT, Node, Share, image};
use dind_tests::{eventually, unique_link};
use std::fs;
use std::process::{Child, Command, Stdio};

/// A network namespace that no container is in, for as long as this is.
struct Elsewhere(Child);

impl Elsewhere {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo; exec sleep infinity"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The virtual links of the node, the uplink among them.
fn links(node: &Node) -> Vec<String> {
    let text = fs::read_to_string(node.process().unwrap().join("net/dev")).unwrap();
    let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("br-") && name != "docker0").collect();
    names.sort();
    names
}

#[test]
fn dead_containers_leave_the_network_at_once_and_nobody_else_does() {
    let _machine = beside_others();
    let share = Share::new();
    let script = "dind-launch prepare >/dev/null; dockerd >/dev/null 2>&1 & exec sleep infinity";
    let options = ["--privileged", "--entrypoint", "sh", "--volume", &share.volume()];
    let node = Node::of_image(&image(), &options, &["-c", script]);
    eventually("the inner engine answers", LIMIT, || {
        (node.inner_docker(&["version"]).status == 0).then_some(())
    });
    load_inner_image(&node);
    node.inner(&["network", "create", "own"]);
    let (elsewhere, kept) = (Elsewhere::new(), unique_link());
    let namespace = format!("/proc/{}/ns/net", elsewhere.0.id());
    let inside = format!("--net={}", node.process().unwrap().join("ns/net").display());
    let pair = ["ip", "link", "add", &kept, "type", "veth", "peer", "name", "other", "netns", &namespace];
    let made = Command::new("nsenter").arg(inside).args(pair).status().unwrap();
    assert!(made.success());
    let before = links(&node);
    assert!(before.contains(&kept), "{before:?}");
    let own = ["--network", "own"];
    let networks: [(&str, &[&str]); 4] = [
        ("inner-a", &[]),
        ("inner-b", &own),
        ("inner-c", &["--network", "host"]),
        ("inner-d", &["--network", "container:inner-a"]),
    ];
    for (name, options) in networks {
        start_inner(&node, name, options, Then::End(0));
    }
    until_up(&share, networks.len());
    assert_eq!(links(&node).len(), before.len() + 2);
    // A dockerd that does nothing deletes no link.
    node.exec(&["sh", "-c", "kill -s STOP $(cat /run/docker.pid)"]).ok();
    let stopped = node.exec(&["dind-reaper", "stop", "--as", "shutdown", "--budget", "5s"]);
    assert!(stopped.stdout.contains("engine-left"), "{}", stopped.stdout);
    assert_eq!(marks(&share).len(), networks.len());
    assert_eq!(links(&node), before);
}
