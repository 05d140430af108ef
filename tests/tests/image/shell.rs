//! A shell script in the place of the launcher.

use crate::REPORTS_TERM;
use dind_tests::outer::{LIMIT, Node, SLEEP, docker, image};
use dind_tests::{eventually, promise, scratch, unique};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// The shell entrypoint that the README shows, word for word.
pub(crate) fn entrypoint() -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let start = readme.find("#!/bin/sh").expect("the README shows an entrypoint");
    let script = readme[start..].split("```").next().unwrap().to_owned();
    assert!(script.lines().count() < 10, "{script}");
    script
}

/// An image whose entrypoint is a shell script.
pub(crate) struct ShellImage(pub(crate) String);

impl ShellImage {
    pub(crate) fn build(script: &str) -> Self {
        let directory = scratch();
        fs::write(directory.path().join("entrypoint.sh"), script).unwrap();
        let recipe = format!(
            "FROM {}\nCOPY entrypoint.sh /entrypoint.sh\nRUN chmod +x /entrypoint.sh\nENTRYPOINT [\"/entrypoint.sh\"]\n",
            image()
        );
        fs::write(directory.path().join("Dockerfile"), recipe).unwrap();
        let tag = unique("shell");
        docker(&["build", "--quiet", "--tag", &tag, directory.path().to_str().unwrap()]).ok();
        Self(tag)
    }
}

impl Drop for ShellImage {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

#[test]
fn the_readme_s_shell_entrypoint_makes_a_node() {
    let image = ShellImage::build(&entrypoint());
    let share = scratch();
    let volume = format!("{}:/share", share.path().display());
    let main = "docker load -qi /preload/inner.tar; touch /share/main; trap 'exit 42' TERM; while :; do sleep 0.05; done";
    let node = Node::of_image(&image.0, &["--privileged", "--volume", &volume], &["sh", "-c", main]);
    eventually("the main process runs", LIMIT, || share.path().join("main").exists().then_some(()));
    node.inner_run(&["--volume", "/share:/share", "--hostname", "inner"], REPORTS_TERM);
    eventually("the inner container is up", LIMIT, || share.path().join("up-inner").exists().then_some(()));
    let (status, took) = node.stop();
    assert_eq!(status, 42, "{}", node.log());
    promise("docker stop", took, Duration::from_secs(9));
    assert!(share.path().join("inner").exists(), "the inner container got TERM: {}", node.log());
}

#[test]
fn a_shell_script_and_the_launcher_get_the_same_documents() {
    let script = "#!/bin/sh\nset -eu\ndind-launch prepare >/share/prepare.json\ndind-storage apply >/share/storage.json\n\
                  DIND_NET_FORWARD=true dind-net apply >/share/net.json\n";
    let image = ShellImage::build(script);
    for env in [
        ["DIND_DATA_ROOT=/var/lib/docker", "VAR_LIB_DOCKER_SIZE=1"],
        ["DIND_DATA_ROOT=/srv/docker", "VAR_LIB_DOCKER_SIZE=1"],
    ] {
        let share = scratch();
        let volume = format!("{}:/share", share.path().display());
        // In the host's cgroup namespace a script is helped in another way than a child of the launcher.
        let private = "--cgroupns=private";
        let options = ["--privileged", private, "--volume", &volume, "--env", env[0], "--env", env[1]];
        let shell = Node::of_image(&image.0, &options, &[]);
        assert_eq!(shell.exit_status(), 0, "{}", shell.log());
        let launched = Node::start(&options[1..], SLEEP);
        let documents = launched.until_running().record()["documents"].clone();
        for stage in ["prepare", "storage", "net"] {
            let text = fs::read_to_string(share.path().join(format!("{stage}.json"))).unwrap();
            let shell: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(comparable(&shell), comparable(&documents[stage]), "{stage}");
        }
    }
}

/// Without what differs from one container to the next: loop numbers, free bytes, its own address.
fn comparable(document: &Value) -> Value {
    let mut document = document.clone();
    match &mut document {
        Value::Object(map) => {
            for key in ["device", "space", "mac", "uplink"] {
                map.remove(key);
            }
            map.values_mut().for_each(|value| *value = comparable(value));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = comparable(value)),
        _ => {}
    }
    document
}
