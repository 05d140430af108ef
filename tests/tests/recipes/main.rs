//! The recipes of `dind-launch/examples`, as far as their parts can be had, and what docker:dind's own documents show.
//!
//! Names of images are what differs from the files that people paste: an image under test in the place of `dind:dev`, and a
//! client of Debian's in the place of docker:cli or of an agent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod actions_runner;
mod clients;
mod compose;
mod devcontainer;
mod docker_library;
mod gitlab;
mod gitlab_documented;
mod jenkins;
mod pod;
mod run_flags;
mod sidecar;

use dind_tests::outer::{Ended, docker, host, image, inner_image, setting};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The newest client, by the major version of its engine.
const NEWEST: &str = "28";

/// The path of a recipe's file.
fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dind-launch/examples").join(file)
}

/// A recipe's text with the images of this machine.
fn with_our_images(text: &str) -> String {
    let client = client_image(NEWEST);
    let own = [("dind:dev", &image()), ("docker:cli", &client), ("busybox", &inner_image())];
    own.iter().fold(text.to_owned(), |text, (theirs, ours)| {
        assert!(!ours.contains(theirs) || *ours == theirs, "`{theirs}` would be replaced twice");
        text.replace(theirs, ours)
    })
}

/// A client of the release of Debian that has this engine.
fn client_image(major: &str) -> String {
    format!("{}:{major}", setting("DIND_TEST_CLIENT_IMAGE"))
}

/// A program of PyPI or npm on this machine.
fn client_program(path: &str) -> PathBuf {
    Path::new(&setting("DIND_TEST_CLIENTS")).join(path)
}

/// A client's container that is gone with its command.
fn client(major: &str, options: &[&str], command: &[&str]) -> Ended {
    docker(&[&["run", "--rm"], options, &[&client_image(major)], command].concat())
}

/// The option that gives a container the outer engine's socket.
fn outer_socket() -> String {
    let host = host();
    format!("--volume={}:/var/run/docker.sock", host.strip_prefix("unix://").expect("a unix socket"))
}

/// A document of YAML; comments of JSON are YAML's, too, once they begin with `#`.
fn yaml(text: &str) -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let mut python = Command::new(client_program("python/bin/python3"));
    let mut child = python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "no YAML: {text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether a manifest follows the schemas of Kubernetes.
fn is_valid(manifest: &str) -> bool {
    let directory = dind_tests::scratch();
    let file = directory.path().join("manifest.yaml");
    fs::write(&file, manifest).unwrap();
    let mut validator = Command::new(setting("DIND_TEST_KUBERNETES_VALIDATE"));
    validator.arg("--strict").arg(file).output().unwrap().status.success()
}

/// An image built by a test; gone with its handle.
struct Built(String);

impl Built {
    /// Builds a directory with a Dockerfile.
    fn of(directory: &Path, arguments: &[&str]) -> Self {
        let built = Self(dind_tests::unique("image"));
        let tag = ["build", "--quiet", "--tag", &built.0];
        docker(&[&tag[..], arguments, &[directory.to_str().unwrap()]].concat()).ok();
        built
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}
