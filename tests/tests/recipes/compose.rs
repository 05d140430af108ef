//! Compose: a job that waits until its engine is healthy.

use crate::{client, client_image, example, outer_socket, with_our_images};
use dind_tests::outer::{Ended, docker, image, inner_image, setting};
use dind_tests::{scratch, unique};
use std::fs;

/// A project of the recipe, by the Compose of one release; gone with its handle.
struct Project {
    name: String,
    major: &'static str,
    directory: tempfile::TempDir,
}

impl Project {
    fn new(major: &'static str) -> Self {
        let directory = scratch();
        let text = fs::read_to_string(example("compose-service/docker-compose.yml")).unwrap();
        fs::write(directory.path().join("docker-compose.yml"), with_our_images(&text)).unwrap();
        // What the node would pull.
        let ours = format!(
            "version: \"2.4\"\nservices:\n  docker:\n    environment:\n      DIND_PRELOAD: /preload\n    volumes:\n      - {}:/preload:ro\n",
            setting("DIND_TEST_PRELOAD")
        );
        fs::write(directory.path().join("docker-compose.override.yml"), ours).unwrap();
        Self { name: unique("compose"), major, directory }
    }

    fn compose(&self, args: &[&str]) -> Ended {
        let (socket, files) =
            (outer_socket(), format!("--volume={}:/project:ro", self.directory.path().display()));
        let (node, job) =
            (format!("--env=DIND_IMAGE={}", image()), format!("--env=CLIENT_IMAGE={}", client_image("28")));
        let options = [&socket, &files, "--workdir=/project", &node, &job];
        let compose = ["docker-compose", "--project-name", &self.name];
        client(self.major, &options, &[&compose[..], args].concat())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.compose(&["down", "--volumes", "--timeout", "10"]);
    }
}

fn the_job_runs_when_its_engine_is_healthy(major: &'static str, version: &str) {
    let project = Project::new(major);
    let found = project.compose(&["version", "--short"]).ok();
    assert!(found.starts_with(version), "{found}");
    let up = project.compose(&["up", "--abort-on-container-exit", "--exit-code-from", "job"]);
    assert_eq!(up.status, 0, "{} {}", up.stdout, up.stderr);
    assert!(
        format!("{}{}", up.stdout, up.stderr).contains("hello"),
        "{inner} has run: {up:?}",
        inner = inner_image()
    );
    let filter = format!("label=com.docker.compose.project={}", project.name);
    let ended = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Status}}"]).ok();
    assert!(ended.lines().all(|status| status.starts_with("Exited (0)")), "{ended}");
}

#[test]
fn the_job_runs_when_its_engine_is_healthy_with_compose_1() {
    the_job_runs_when_its_engine_is_healthy("20", "1.29");
}

#[test]
fn the_job_runs_when_its_engine_is_healthy_with_compose_2() {
    the_job_runs_when_its_engine_is_healthy("28", "2.");
}
