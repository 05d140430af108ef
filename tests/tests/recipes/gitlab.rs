//! GitLab CI: jobs with a node as a service, interpreted by gitlab-ci-local, which starts services and jobs as GitLab's runner does:
//! the job's variables and volumes are the service's, too.

use crate::{NEWEST, client_image, client_program, example, with_our_images, yaml};
use dind_tests::outer::{Ended, Volume, host, inner_image, setting};
use dind_tests::{scratch, seconds};
use std::fs;
use std::process::Command;

/// A repository with a file for CI.
pub(crate) struct Project {
    directory: tempfile::TempDir,
    /// In the place of the runner's volume for certificates, and of that for a socket.
    certificates: Volume,
    socket: Volume,
}

impl Project {
    pub(crate) fn new(ci: &str) -> Self {
        let directory = scratch();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        // What the node would pull is there before long.
        let pulled =
            format!("    - until docker image inspect {} >/dev/null; do sleep 0.1; done\n", inner_image());
        let build = "    - docker build ";
        write(".gitlab-ci.yml", &with_our_images(ci).replace(build, &format!("{pulled}{build}")));
        let script = "#!/bin/sh\necho the tests have run\n";
        write(
            "Dockerfile",
            &format!(
                "FROM {}\nCOPY tests /script/to/run/tests\nCMD [\"/script/to/run/tests\"]\n",
                inner_image()
            ),
        );
        write("tests", script);
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(&directory).args(["-c", "user.name=test", "-c", "user.email=test@gitlab.test"]);
            assert!(git.args(args).status().unwrap().success(), "git {args:?}");
        };
        git(&["init", "--quiet"]);
        git(&["add", "--all"]);
        git(&["update-index", "--chmod=+x", "tests"]);
        git(&["commit", "--quiet", "--message", "first"]);
        git(&["checkout", "--quiet", "--force", "--", "."]);
        git(&["remote", "add", "origin", "git@gitlab.test:group/project.git"]);
        git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
        Self { directory, certificates: Volume::new(), socket: Volume::new() }
    }

    /// Runs one job. Options are those of the runner.
    pub(crate) fn run(&self, job: &str, options: &[&str]) -> Ended {
        let volumes = [
            format!("{}:/certs/client", self.certificates.name),
            format!("{}:/runner/services/docker", self.socket.name),
            // The node has the inner image, which it would pull.
            format!("{}:/preload:ro", setting("DIND_TEST_PRELOAD")),
        ];
        let mut command = Command::new(client_program("node"));
        command.current_dir(&self.directory).env("DOCKER_HOST", host());
        command.arg(client_program("node_modules/gitlab-ci-local/dist/index.js"));
        command.args([job, "--privileged", "--no-color", "--pull-policy", "if-not-present"]);
        command.args(["--variable", "DIND_PRELOAD=/preload"]);
        command.args(volumes.iter().flat_map(|volume| ["--volume", volume]));
        command.args(["--helper-image", &client_image(NEWEST), "--wait-image", &client_image("wait")]);
        command.args(["--wait-for-services-timeout", &seconds(30)]);
        command.arg("--home").arg(self.directory.path().join(".home"));
        command.args(options).output().unwrap().into()
    }

    /// What the services of a job have printed.
    pub(crate) fn log_of_services(&self, job: &str) -> String {
        let logs = self.directory.path().join(".gitlab-ci-local/services-output").join(job);
        let logs = fs::read_dir(logs).into_iter().flatten().flatten();
        logs.map(|log| fs::read_to_string(log.path()).unwrap_or_default()).collect()
    }

    pub(crate) fn passes(&self, job: &str, options: &[&str]) -> String {
        let ended = self.run(job, options);
        let output = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status, 0, "{output}\nservices: {}", self.log_of_services(job));
        assert!(output.contains("the tests have run"), "{output}");
        output
    }
}

fn recipe() -> String {
    fs::read_to_string(example("gitlab/.gitlab-ci.yml")).unwrap()
}

#[test]
fn the_recipe_s_job_uses_the_engine_over_tls() {
    let project = Project::new(&recipe());
    let output = project.passes("build-over-tls", &[]);
    assert!(output.contains("healthcheck passed"), "a port of the service answers: {output}");
}

#[test]
fn the_recipe_s_job_uses_the_engine_over_a_socket_in_a_volume() {
    let project = Project::new(&recipe());
    let output = project.passes("build-over-the-socket", &[]);
    assert!(output.contains("healthcheck passed"), "a port of the service answers: {output}");
}

#[test]
fn the_recipe_s_runner_has_the_volumes_that_its_jobs_name() {
    let config = fs::read_to_string(example("gitlab/config.toml")).unwrap();
    let script = "import json, sys, tomllib; json.dump(tomllib.load(open(sys.argv[1], 'rb')), sys.stdout)";
    let mut python = Command::new(client_program("python/bin/python3"));
    let parsed: Ended =
        python.args(["-c", script]).arg(example("gitlab/config.toml")).output().unwrap().into();
    let parsed: serde_json::Value = serde_json::from_str(&parsed.ok()).unwrap();
    let docker = &parsed["runners"][0]["docker"];
    assert_eq!(docker["privileged"], true, "{config}");
    let volumes: Vec<_> =
        docker["volumes"].as_array().unwrap().iter().filter_map(|volume| volume.as_str()).collect();
    let jobs = yaml(&recipe());
    let certificates = jobs["build-over-tls"]["variables"]["DOCKER_CERT_PATH"].as_str().unwrap();
    let socket = jobs["build-over-the-socket"]["variables"]["DOCKER_HOST"].as_str().unwrap();
    assert!(volumes.contains(&certificates), "{volumes:?}");
    assert!(volumes.iter().any(|volume| socket == format!("unix://{volume}/docker.sock")), "{volumes:?}");
}
