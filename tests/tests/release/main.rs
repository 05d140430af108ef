//! `version` and `push` of xtask, against an image and a registry of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, docker, image, inner_image, on_host, unique};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command};

/// A registry where the outer engine's loopback is; it is gone with its handle.
struct Registry {
    child: Child,
    _folder: tempfile::TempDir,
}

const ADDRESS: &str = "127.0.0.1:5099";

impl Registry {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, data) = (folder.path().join("config.yml"), folder.path().join("data"));
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: \"{ADDRESS}\"}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n",
            data.display()
        );
        fs::write(&config, text).unwrap();
        let pid = std::env::var("DIND_TEST_ENGINE_PID").expect("run `cargo xtask test mesos`");
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid, "--net", "docker-registry", "serve"]).arg(config);
        let child = command.spawn().expect("nsenter is installed");
        let registry = Self { child, _folder: folder };
        eventually("the registry answers", LIMIT, || (get("").status == 0).then_some(()));
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(path: &str) -> dind_tests::outer::Ended {
    on_host(&["busybox", "wget", "-q", "-O", "-", &format!("http://{ADDRESS}/v2/{path}")])
}

fn xtask(args: &[&str]) -> String {
    let program = std::env::var("DIND_TEST_XTASK").expect("run `cargo xtask test mesos`");
    let ended: dind_tests::outer::Ended = Command::new(program).args(args).output().unwrap().into();
    ended.ok()
}

/// A small image that tells of versions as a node does: what a push does does not depend on its size.
struct Small(String);

impl Small {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recipe = format!(
            "FROM {}\nRUN mkdir -p /etc && printf 'ID=debian\\nVERSION_ID=\"12\"\\n' >/etc/os-release && \
             printf '#!/bin/sh\\necho mesos 9.8.7\\n' >/bin/mesos-slave && \
             printf '#!/bin/sh\\necho Docker version 7.6.5+x, build y\\n' >/bin/dockerd && \
             chmod +x /bin/mesos-slave /bin/dockerd\n",
            inner_image()
        );
        fs::write(folder.path().join("Dockerfile"), recipe).unwrap();
        let tag = unique("small");
        docker(&["build", "--quiet", "--tag", &tag, folder.path().to_str().unwrap()]).ok();
        Self(tag)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

#[test]
fn the_built_image_tells_its_version() {
    let version = xtask(&["version", "--image", &image()]);
    let parts: Vec<&str> = version.split('_').collect();
    let [own, mesos, docker, distribution] = parts[..] else { panic!("{version}") };
    assert_eq!(own, env!("CARGO_PKG_VERSION"));
    for (part, prefix) in [(mesos, "mesos-"), (docker, "docker-")] {
        assert!(part.strip_prefix(prefix).is_some_and(|version| version.contains('.')), "{version}");
    }
    assert!(distribution.starts_with("debian-") || distribution.starts_with("ubuntu-"), "{version}");
}

#[test]
fn a_push_puts_the_image_under_its_version_into_the_registry() {
    let (_registry, small) = (Registry::start(), Small::build());
    let repository = format!("{ADDRESS}/team/dind");
    let name = xtask(&["push", "--image", &small.0, "--repository", &repository]);
    let version = format!("{}_mesos-9.8.7_docker-7.6.5_debian-12", env!("CARGO_PKG_VERSION"));
    assert_eq!(name, format!("{repository}:{version}"));
    let tags: Value = serde_json::from_str(&get("team/dind/tags/list").ok()).unwrap();
    assert_eq!(tags["tags"], serde_json::json!([version]));
    docker(&["rmi", "--force", &name]).ok();
    docker(&["pull", "--quiet", &name]).ok();
    docker(&["rmi", "--force", &name]).ok();
}
