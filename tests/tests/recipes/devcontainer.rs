//! Development containers: the feature, installed and started by the reference implementation of their specification.

use crate::{Built, client_program, example, yaml};
use dind_tests::outer::{Ended, Node, docker, host, image, inner_image, setting};
use dind_tests::{bin, scratch};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A workspace with the recipe; its container and its images are gone with its handle.
struct Workspace {
    directory: tempfile::TempDir,
    /// An image with an engine, and nothing of ours: what the feature's packages would bring.
    _base: Built,
    /// What the container has brought along.
    images: Vec<String>,
    volumes: Vec<String>,
}

impl Workspace {
    fn new() -> Self {
        let base = scratch();
        let recipe = format!(
            "FROM {}\nRUN rm /usr/local/bin/dind-* && useradd --create-home --shell /bin/bash vscode\n\
             ENTRYPOINT []\nHEALTHCHECK NONE\nLABEL devcontainer.metadata='[{{\"remoteUser\": \"vscode\"}}]'\n",
            image()
        );
        fs::write(base.path().join("Dockerfile"), recipe).unwrap();
        let base = Built::of(base.path(), &[]);
        let directory = scratch();
        let mut copy = Command::new("cp");
        copy.arg("--recursive").arg(example("devcontainer/.devcontainer")).arg(directory.path());
        assert!(copy.status().unwrap().success());
        let folder = directory.path().join(".devcontainer");
        let tools = folder.join("dind/bin");
        fs::create_dir(&tools).unwrap();
        for tool in ["dind-launch", "dind-net", "dind-reaper", "dind-storage"] {
            fs::copy(bin(tool), tools.join(tool)).unwrap();
        }
        let file = folder.join("devcontainer.json");
        let mut settings = yaml(&fs::read_to_string(&file).unwrap());
        settings["image"] = json!(base.0);
        settings["mounts"] =
            json!([format!("source={},target=/preload,type=bind", setting("DIND_TEST_PRELOAD"))]);
        settings["containerEnv"] = json!({"DIND_PRELOAD": "/preload"});
        fs::write(file, settings.to_string()).unwrap();
        Self { directory, _base: base, images: Vec::new(), volumes: Vec::new() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn devcontainer(&self, verb: &str, args: &[&str]) -> Ended {
        let mut command = Command::new(client_program("node"));
        command.arg(client_program("node_modules/@devcontainers/cli/devcontainer.js"));
        command.arg(verb).arg("--workspace-folder").arg(self.path()).args(args);
        // It leaves a copy of the feature where temporary files go.
        let temporary = self.path().join(".tmp");
        fs::create_dir_all(&temporary).unwrap();
        command.env("DOCKER_HOST", host()).env("HOME", self.path()).env("TMPDIR", temporary);
        command.output().unwrap().into()
    }

    fn up(&mut self) -> Node {
        let up = self.devcontainer("up", &["--buildkit", "never"]);
        let folder = format!("label=devcontainer.local_folder={}", self.path().display());
        let container = docker(&["ps", "--all", "--quiet", "--filter", &folder]).ok();
        let asked = "{{.Image}}{{range .Mounts}} {{.Name}}{{end}}";
        let own = docker(&["inspect", "--format", asked, &container]).stdout;
        let mut own = own.split_whitespace().map(str::to_owned);
        self.images.extend(own.next());
        self.volumes.extend(own);
        let node = Node::named(container);
        assert_eq!(up.status, 0, "{} {}", up.stdout, up.stderr);
        node
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What was built on the way has a name that begins with the directory's; the feature's files are in one of the program's own.
        let name = self.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let built = docker(&["images", "--quiet", &format!("vsc-{name}-*")]).stdout;
        self.images.extend(built.lines().map(str::to_owned));
        self.volumes.iter().for_each(|volume| drop(docker(&["volume", "rm", volume])));
        self.images.iter().for_each(|image| drop(docker(&["rmi", "--force", image])));
        let _ = docker(&["rmi", "dev_container_feature_content_temp"]);
    }
}

#[test]
fn the_feature_makes_an_image_a_docker_host_for_its_user() {
    let mut workspace = Workspace::new();
    let node = workspace.up();
    node.until_running();
    let run = ["docker", "run", "--rm", &inner_image(), "echo", "hello"];
    let hello = workspace.devcontainer("exec", &run);
    assert_eq!((hello.status, hello.stdout.trim()), (0, "hello"), "{}", hello.stderr);
    let user = workspace.devcontainer("exec", &["id", "--name", "--user"]);
    assert_eq!(user.stdout.trim(), "vscode");
    assert_eq!(node.record()["pid"], 1, "the node is the first process");
    let (_, took) = node.stop();
    dind_tests::promise("docker stop", took, std::time::Duration::from_millis(9_500));
    let record = node.last_record();
    assert_eq!(record["state"], "stopped", "{record}");
}
