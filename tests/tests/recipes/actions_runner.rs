//! GitHub Actions: runners of the chart gha-runner-scale-set. The chart cannot be had here; the pod that it makes of the values is
//! `template`.

use crate::pod::Pod;
use crate::{Built, NEWEST, client_image, example, is_valid, yaml};
use dind_tests::outer::{docker, inner_image};
use dind_tests::scratch;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What a job does with Docker: a container with the work directory, and an image.
const RUN: &str = r#"#!/bin/sh
set -eu
id -u
docker version --format 'engine {{.Server.Version}}' >&2
# What a job would pull.
until docker image inspect INNER >/dev/null 2>&1; do sleep 0.1; done
echo content >/home/runner/_work/file
docker run --rm --volume /home/runner/_work:/work --volume /home/runner/externals:/externals:ro INNER cat /work/file /externals/node
"#;

/// A stand-in for the runner's image: its user, its group, its files, and a program in the place of run.sh.
fn runner() -> Built {
    let directory = scratch();
    let program = directory.path().join("run.sh");
    fs::write(&program, RUN.replace("INNER", &inner_image())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let recipe = format!(
        "FROM {}\nENTRYPOINT []\nRUN groupadd --gid 123 docker && useradd --create-home --uid 1001 --groups docker runner && \
         mkdir -p /home/runner/externals /home/runner/tmpDir /home/runner/_work && \
         echo interpreter >/home/runner/externals/node && chown -R runner /home/runner\n\
         COPY run.sh /home/runner/\nUSER runner\n",
        client_image(NEWEST)
    );
    fs::write(directory.path().join("Dockerfile"), recipe).unwrap();
    Built::of(directory.path(), &[])
}

fn values() -> (String, Value) {
    let text = fs::read_to_string(example("actions-runner/values.yaml")).unwrap();
    let document = yaml(&text);
    (text, document)
}

#[test]
fn the_template_of_the_values_follows_the_schema_of_kubernetes() {
    let (text, _) = values();
    let template = &text[text.find("\ntemplate:").unwrap()..];
    let manifest = format!("apiVersion: v1\nkind: PodTemplate\nmetadata:\n  name: runner\n{template}");
    assert!(is_valid(&manifest));
    assert!(!is_valid(&manifest.replace("preStop:", "beforeStop:")), "it looks at every field");
}

#[test]
fn a_runner_uses_the_engine_of_its_sidecar_as_its_own_user() {
    let (_, mut document) = values();
    let spec = document["template"]["spec"].take();
    let runner = runner();
    let pod = Pod::new(&spec, &[("ghcr.io/actions/actions-runner:latest", &runner.0)]);
    pod.start();
    let (status, printed) = pod.ended("runner");
    assert_eq!(status, "0", "{printed}");
    assert_eq!(
        printed.lines().filter(|line| !line.starts_with("engine")).collect::<Vec<_>>(),
        ["1001", "content", "interpreter"]
    );
    let socket =
        docker(&["exec", &pod.container("dind"), "stat", "--format", "%g %a", "/var/run/docker.sock"]);
    assert_eq!(socket.ok(), "123 660");
    pod.delete();
    assert_eq!(pod.ended("dind").0, "0");
}

/// The chart's values document the container of its mode `dind`, to be pasted and changed: here, the image's name alone.
#[test]
fn the_container_of_the_chart_s_own_mode_works_with_another_image() {
    let (_, mut document) = values();
    let mut spec = document["template"]["spec"].take();
    let dind = &mut spec["initContainers"][1];
    dind["startupProbe"] = json!({"exec": {"command": ["docker", "info"]}, "initialDelaySeconds": 0, "failureThreshold": 24, "periodSeconds": 5});
    dind.as_object_mut().unwrap().remove("lifecycle");
    // It has no volume for the engine's data.
    dind["volumeMounts"].as_array_mut().unwrap().pop();
    spec["volumes"].as_array_mut().unwrap().pop();
    let runner = runner();
    let pod = Pod::new(&spec, &[("ghcr.io/actions/actions-runner:latest", &runner.0)]);
    pod.start();
    let (status, printed) = pod.ended("runner");
    assert_eq!(status, "0", "{printed}");
    pod.delete();
    assert_eq!(pod.ended("dind").0, "0");
}
