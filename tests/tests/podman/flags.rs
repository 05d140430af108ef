//! The flags of `doctor --run-flags --for podman`.

use crate::{DATA, network};
use dind_tests::cell::SLOW;
use dind_tests::outer::{Ended, LOOP, Node, Outer, Podman, RunFlags, SLEEP, host, image, inner_image};
use dind_tests::pages::Page;
use dind_tests::rootless::ENTER;
use dind_tests::{scratch, unique};
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;

/// What is said of a set for podman on this machine.
fn set(run_flags: &RunFlags, name: &str) -> Value {
    let document: Value = serde_json::from_slice(&run_flags.doctor(&["--for", "podman"]).stdout).unwrap();
    let sets = document["result"]["run_flags"].as_array().unwrap();
    sets.iter().find(|set| set["name"] == name).unwrap().clone()
}

/// A node with the flags of a set, and how a command gets into it. The set works on this machine.
fn makes_a_node(name: &str, runtime: &'static str, prefix: &str, into: &[&str], storage: &[&str]) {
    let run_flags = RunFlags::ask();
    let set = set(&run_flags, name);
    assert_eq!(set["works"], true, "{set}");
    let flags: Vec<_> = set["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect();
    let podman = Podman::with(runtime);
    let network = network(&podman, prefix, "1500");
    let outer: Arc<dyn Outer> = podman;
    let options = [&SLOW[..], &flags, &["--network", &network.name], storage].concat();
    let node = Node::of_engine(outer, &image(), &options, SLEEP);
    node.until_running();
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; head -c 1 /dev/zero | wc -c";
    let run = ["docker", "run", "--rm", "--memory", "64m", &inner_image(), "sh", "-c", script];
    let read = node.exec(&[into, &run].concat());
    assert_eq!(read.stdout, format!("{}\n1", 64 << 20), "{read:?}\n{}", node.log());
    assert!(!node.log().contains("nosuid"), "{}", node.log());
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn the_reduced_set_for_podman_makes_a_node_on_a_volume() {
    let data = format!("{}:{DATA}", unique("data"));
    makes_a_node("reduced", "runc", "10.223", &[], &["--volume", &data]);
}

#[test]
fn the_reduced_set_for_podman_makes_a_node_in_a_loop_image() {
    let file = format!("DIND_STORAGE_IMAGE=/data/{}", unique("image"));
    makes_a_node("reduced", "crun", "10.224", &[], &[&LOOP[..], &["--env", &file]].concat());
}

#[test]
fn the_privileged_set_for_podman_makes_a_node() {
    let data = format!("{}:{DATA}", unique("data"));
    makes_a_node("privileged", "runc", "10.225", &[], &["--volume", &data]);
}

#[test]
fn the_set_for_podman_without_capabilities_makes_a_node() {
    let data = format!("{}:{DATA}", unique("data"));
    makes_a_node("rootless", "runc", "10.226", &ENTER, &["--volume", &data]);
}

/// What the README shows, word for word, with a node of another name. The commands run in a directory of their own.
#[test]
fn the_readme_s_commands_for_podman_do_what_it_says() {
    let podman = Podman::with("runc");
    let (node, directory) = (unique("readme"), scratch());
    let page = Page::of("dind-launch/docs/run-flags.md");
    let commands = page
        .block("docker save dind:dev | podman load")
        .text
        .replace("dind:dev", &image())
        .replace(" node", &format!(" {node}"));
    // A profile by its path: the engine's mounts are others than ours.
    let profile = directory.path().join("seccomp.json");
    let commands = commands.replace("seccomp=seccomp.json", &format!("seccomp={}", profile.display()));
    let path = format!("{}:{}", podman.bin().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.current_dir(directory.path()).env("PATH", path).env("DOCKER_HOST", host());
    let ended: Ended = shell.args(["-exc", &commands]).output().unwrap().into();
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.stdout.contains("Storage Driver: overlay2"), "{ended:?}");
    let left = podman.client(&["ps", "--all", "--quiet", "--filter", &format!("name={node}")]).ok();
    assert_eq!(left, "");
}

/// podman passes on its own limits unless it is given one: then it asks for 1048576 of the others, which root without `CAP_SYS_RESOURCE` cannot
/// raise. What the set needs says so, there alone.
#[test]
fn a_ulimit_needs_the_other_one_where_root_cannot_raise_its_own() {
    let run_flags = RunFlags::ask();
    let set = set(&run_flags, "privileged");
    let podman = Podman::with("runc");
    let run = |ulimits: &[&str]| {
        let image = podman.image(&inner_image());
        podman.client(
            &[&["run", "--rm", "--network", "none"], ulimits, &[&image, "sh", "-c", "ulimit -n"]].concat(),
        )
    };
    let (one, both) =
        (["--ulimit", "nofile=512:512"], ["--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512"]);
    assert_eq!(run(&both).stdout, "512");
    let warned = set["needs"].to_string().contains("--ulimit");
    assert_eq!(run(&one).status != 0, warned, "{set}");
}
