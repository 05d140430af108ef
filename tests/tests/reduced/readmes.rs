//! The commands of the READMEs, and the profile that the image carries for them.

use dind_tests::outer::{Node, docker, host, image};
use dind_tests::reduced::RunFlags;
use dind_tests::{bin, scratch, unique};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The commands of a section of a README that begin and go on so, for the image under test and a node of a name that it finds in
/// `$node`.
fn commands(readme: &str, first: &str, then: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(readme);
    let text = fs::read_to_string(file).unwrap();
    let mut blocks = text.split("```sh\n").map(|block| block.split("```").next().unwrap());
    let block = blocks.find(|block| block.starts_with(first) && block.contains(then));
    let block = block.expect("the README shows it");
    block.replace("--name node", "--name $node").replace("dind:dev", &image())
}

#[test]
fn the_commands_of_the_readmes_start_a_node() {
    let engine = host();
    let tools = bin("dind-launch").parent().unwrap().display().to_string();
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap());
    for (readme, first, then) in [
        ("README.md", "docker run --rm --entrypoint cat", "/dev/loop-control"),
        ("dind-launch/README.md", "docker run --rm --entrypoint cat", "/dev/loop-control"),
        ("dind-launch/README.md", "dind-launch doctor --run-flags", ""),
    ] {
        let node = Node::named(unique("readme"));
        let directory = scratch();
        let mut shell = Command::new("sh");
        shell.args(["-euc", &commands(readme, first, then)]).current_dir(directory.path());
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
