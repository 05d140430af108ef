//! The commands of the READMEs, and the profile that the image carries for them.

use dind_tests::outer::{Node, docker, host, image};
use dind_tests::reduced::{RunFlags, commands};
use dind_tests::{bin, scratch, unique};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A file of the checkout.
fn text(file: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file)).unwrap()
}

#[test]
fn the_commands_of_the_readmes_start_a_node() {
    let engine = host();
    let tools = bin("dind-launch").parent().unwrap().display().to_string();
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap());
    for (readme, first, then) in [
        ("README.md", "docker run --rm --entrypoint cat", "/dev/loop-control"),
        ("dind-launch/README.md", "docker run --rm --entrypoint cat", "/dev/loop-control"),
        ("dind-launch/README.md", "docker run --rm --entrypoint cat", "DIND_USERNS=unshare"),
        ("dind-launch/README.md", "dind-launch doctor --run-flags", ""),
    ] {
        let node = Node::named(unique("readme"));
        let directory = scratch();
        let mut shell = Command::new("sh");
        shell.args(["-euc", &commands(&text(readme), first, then)]).current_dir(directory.path());
        shell.env("DOCKER_HOST", &engine).env("PATH", &path).env("node", &node.name);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{readme}: {output:?}");
        node.until_running();
        assert_eq!(node.stop().0, 0, "the engine is the service: {}", node.log());
    }
}

#[test]
fn the_image_carries_the_profile_of_the_program() {
    let file = "/usr/share/dind/seccomp.json";
    let text = docker(&["run", "--rm", "--entrypoint", "cat", &image(), file]).ok();
    let carried: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(carried, RunFlags::ask().document["result"]["seccomp_profile"]);
}
