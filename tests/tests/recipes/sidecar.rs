//! Kubernetes: the engine as a native sidecar of a job.

use crate::pod::Pod;
use crate::{example, is_valid, with_our_images, yaml};
use dind_tests::outer::inner_image;
use dind_tests::promise;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

fn text(file: &str) -> String {
    fs::read_to_string(example("kubernetes-sidecar").join(file)).unwrap()
}

fn manifest() -> Value {
    yaml(&with_our_images(&text("pod.yaml")))
}

#[test]
fn the_pods_follow_the_schema_of_kubernetes() {
    let text = text("pod.yaml");
    assert!(is_valid(&text) && is_valid(&self::text("pod-tls.yaml")));
    assert!(
        !is_valid(&text.replace("restartPolicy: Always", "restartPolicies: Always")),
        "it looks at every field"
    );
}

#[test]
fn the_job_starts_when_the_sidecar_s_engine_is_ready_and_the_sidecar_ends_after_it() {
    let mut document = manifest();
    let spec = document["spec"].take();
    let pod = Pod::new(&spec, &[]);
    pod.start();
    let (status, printed) = pod.ended("job");
    assert_eq!((status.as_str(), printed.trim()), ("0", "hello"));
    let [(_, took)] = &pod.delete()[..] else { panic!("there is one sidecar") };
    promise("the end of a sidecar in which nothing runs", *took, Duration::from_secs(9));
    assert_eq!(pod.ended("docker").0, "0");
}

#[test]
fn what_still_runs_when_the_pod_is_deleted_may_end_by_itself() {
    let mut document = manifest();
    let mut spec = document["spec"].take();
    // A job that leaves a container behind, which needs a while and does not end by TERM.
    let script = format!(
        "docker run --detach --name rest --volume /var/run:/out {} sh -c 'trap \"\" TERM; echo begun; sleep 12; echo done >/out/rest'",
        inner_image()
    );
    spec["containers"][0]["command"] = json!(["sh", "-c", script]);
    let pod = Pod::new(&spec, &[]);
    pod.start();
    assert_eq!(pod.ended("job").0, "0");
    pod.delete();
    assert_eq!(pod.file("run", "rest").stdout, "done", "the container was not drained");
    assert_eq!(pod.ended("docker").0, "0");
}
