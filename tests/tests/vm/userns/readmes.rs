//! The commands of the READMEs for an engine that maps users.

use dind_tests::outer::{Node, host};
use dind_tests::pages::Page;
use dind_tests::reduced::commands;
use dind_tests::{scratch, unique};
use std::process::Command;

/// The pages that show them, and how the commands go on.
const PAGES: [(&str, &str); 2] = [
    ("README.md", "--detach --name node"),
    ("dind-launch/docs/run-flags.md", "--detach --name node --cap-add"),
];

#[test]
fn the_commands_of_the_readmes_start_a_node() {
    for (page, then) in PAGES {
        let node = Node::named(unique("readme"));
        let directory = scratch();
        let commands = commands(&Page::of(page), "docker run --rm --entrypoint cat", then);
        assert!(!commands.contains("--privileged") && !commands.contains("/dev/loop"), "{commands}");
        // There is no terminal here.
        let commands: Vec<_> = commands.lines().filter(|line| !line.contains(" -it ")).collect();
        let mut shell = Command::new("sh");
        shell.args(["-euc", &commands.join("\n")]).current_dir(directory.path());
        let output = shell.env("DOCKER_HOST", host()).env("node", &node.name).output().unwrap();
        assert!(output.status.success(), "{output:?} {}", node.log());
        if !commands.iter().any(|line| line.contains("docker stop")) {
            node.until_running();
            let _ = node.stop();
        }
        assert_eq!(node.exit_status(), 0, "the engine is the service: {}", node.log());
    }
}
