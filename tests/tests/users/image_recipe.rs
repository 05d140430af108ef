//! The Dockerfile on bases as people have them, and what the image says of itself.

use dind_tests::outer::{Node, docker, image, inner_image};
use dind_tests::{scratch, unique};
use std::fs;

const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// An image on the outer engine that is removed with its handle.
struct Built(String);

impl Drop for Built {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

fn label(image: &str, name: &str) -> String {
    let format = format!("{{{{index .Config.Labels \"org.opencontainers.image.{name}\"}}}}");
    docker(&["image", "inspect", "--format", &format, image]).ok()
}

fn size(image: &str) -> u64 {
    docker(&["image", "inspect", "--format", "{{.Size}}", image]).ok().parse().unwrap()
}

#[test]
fn a_base_with_a_user_builds_and_the_main_process_becomes_that_user_again() {
    let directory = scratch();
    let recipe = format!(
        "FROM {}\nRUN useradd --create-home --groups docker agent\nENV AGENT=1 PATH=/opt/bin:/usr/bin:/bin\nUSER agent\nWORKDIR /home/agent\nCMD [\"agent-program\"]\n\
         LABEL org.opencontainers.image.title=agent org.opencontainers.image.source=https://agent.test\n",
        image()
    );
    fs::write(directory.path().join("Dockerfile"), recipe).unwrap();
    let base = Built(unique("base"));
    docker(&["build", "--quiet", "--tag", &base.0, directory.path().to_str().unwrap()]).ok();
    let built = Built(unique("image"));
    let argument = format!("BASE_IMAGE={}", base.0);
    // The base has an engine already; a second one beside it would be another version.
    let look = ["run", "--rm", "--entrypoint", "sh", &image(), "-c", "command -v dockerd"];
    let from_archive = docker(&look).ok().starts_with("/usr/local/");
    let engine = if from_archive { "ENGINE=archive" } else { "ENGINE=packages" };
    let arguments = ["--build-arg", &argument, "--build-arg", engine];
    docker(&[&["build", "--quiet"], &arguments[..], &["--tag", &built.0, CHECKOUT]].concat()).ok();
    assert_eq!((label(&built.0, "title").as_str(), label(&built.0, "source").as_str()), ("dind", ""));

    // As the README says it.
    let agent = "id -un; echo $HOME $AGENT; pwd; docker run --rm $0 echo hello";
    let as_agent = ["setpriv", "--reuid", "agent", "--regid", "agent", "--init-groups"];
    let main = ["env", "HOME=/home/agent", "sh", "-c", agent, &inner_image()];
    let node = Node::of_image(&built.0, &["--privileged"], &[&as_agent[..], &main].concat());
    assert_eq!(node.exit_status(), 0, "{}", node.log());
    let printed = docker(&["logs", &node.name]).stdout;
    assert_eq!(printed.lines().collect::<Vec<_>>(), ["agent", "/home/agent 1", "/home/agent", "hello"]);
}

#[test]
fn the_image_says_what_it_is() {
    assert_eq!(label(&image(), "title"), "dind");
    assert_eq!(label(&image(), "version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label(&image(), "licenses"), "Apache-2.0");
    assert!(!label(&image(), "description").is_empty());
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Config.User}}", &image()]).ok(), "root");
}

#[test]
fn the_image_has_no_more_than_it_needs() {
    let look = "find /var/cache/apt/archives /var/lib/apt/lists -type f; find /usr/share/man -name 'docker*'; \
                ls /usr/share/doc/iptables/copyright; dockerd --version";
    let found = docker(&["run", "--rm", "--entrypoint", "sh", &image(), "-c", look]).ok();
    let lines: Vec<_> = found.lines().filter(|line| !line.ends_with("/lock")).collect();
    assert_eq!(lines.first(), Some(&"/usr/share/doc/iptables/copyright"), "{found}");
    let base = label(&image(), "base.name");
    let beyond = (size(&image()) - size(&base)) / 1_000_000;
    // Newer ones come with buildx and compose.
    let most = if found.contains("Docker version 20.") { 300 } else { 550 };
    assert!(beyond <= most, "{beyond} MB over {base}");
}
