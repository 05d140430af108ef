//! `version` and `push` of xtask, against an image and a registry of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_tests::outer::{Ended, Registry, docker, image, inner_image, setting};
use dind_tests::{scratch, unique};
use serde_json::Value;
use std::fs;
use std::process::Command;

fn xtask(args: &[&str]) -> String {
    let ended: Ended = Command::new(setting("DIND_TEST_XTASK")).args(args).output().unwrap().into();
    ended.ok()
}

/// A small image that answers questions for versions as a node does: a push of it is quicker, and otherwise the same.
struct Small(String);

impl Small {
    fn build() -> Self {
        let directory = scratch();
        let recipe = format!(
            "FROM {}\nRUN mkdir -p /etc && printf 'ID=debian\\nVERSION_ID=\"12\"\\n' >/etc/os-release && \
             printf '#!/bin/sh\\necho mesos 9.8.7\\n' >/bin/mesos-slave && \
             printf '#!/bin/sh\\necho Docker version 7.6.5+x, build y\\n' >/bin/dockerd && \
             chmod +x /bin/mesos-slave /bin/dockerd\n",
            inner_image()
        );
        fs::write(directory.path().join("Dockerfile"), recipe).unwrap();
        let tag = unique("small");
        docker(&["build", "--quiet", "--tag", &tag, directory.path().to_str().unwrap()]).ok();
        Self(tag)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

#[test]
fn the_version_names_what_is_in_the_image() {
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
    let (registry, small) = (Registry::on_host(), Small::build());
    let repository = format!("{}/team/dind", registry.address);
    let name = xtask(&["push", "--image", &small.0, "--repository", &repository]);
    let version = format!("{}_mesos-9.8.7_docker-7.6.5_debian-12", env!("CARGO_PKG_VERSION"));
    assert_eq!(name, format!("{repository}:{version}"));
    let tags: Value = serde_json::from_str(&registry.get("team/dind/tags/list").ok()).unwrap();
    assert_eq!(tags["tags"], serde_json::json!([version]));
    docker(&["rmi", "--force", &name]).ok();
    docker(&["pull", "--quiet", &name]).ok();
    docker(&["rmi", "--force", &name]).ok();
}
