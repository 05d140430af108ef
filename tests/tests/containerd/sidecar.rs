//! The examples of Kubernetes, `dind-launch/examples/kubernetes-sidecar`: an engine beside a job, in one sandbox.

use crate::pod::Pod;
use dind_tests::manifest::document;
use dind_tests::outer::{image, inner_image, setting};
use dind_tests::promise;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

// Parts of the program: a guest has no checkout.
const SOCKET: &str = include_str!("../../../dind-launch/examples/kubernetes-sidecar/pod.yaml");
const TLS: &str = include_str!("../../../dind-launch/examples/kubernetes-sidecar/pod-tls.yaml");

/// A manifest's `spec`. The job's image cannot be had: the node's own has a client, too.
fn spec(text: &str) -> Value {
    let mut spec = document(text)["spec"].take();
    let (sidecar, job) = (&mut spec["initContainers"][0], "docker:cli");
    assert_eq!(sidecar["image"], "dind:dev", "{text}");
    sidecar["image"] = image().into();
    let preload = json!({"name": "DIND_PRELOAD", "value": "/preload"});
    match &mut sidecar["env"] {
        Value::Array(variables) => variables.push(preload),
        none => *none = json!([preload]),
    }
    sidecar["volumeMounts"].as_array_mut().unwrap().push(json!({"name": "preload", "mountPath": "/preload"}));
    let preload = json!({"name": "preload", "hostPath": {"path": setting("DIND_TEST_PRELOAD")}});
    spec["volumes"].as_array_mut().unwrap().push(preload);
    assert_eq!(spec["containers"][0]["image"], job, "{text}");
    spec["containers"][0]["image"] = image().into();
    let words = spec["containers"][0]["command"].as_array_mut().unwrap();
    let busybox = words.iter_mut().find(|word| *word == "busybox").expect("the job runs a container");
    *busybox = inner_image().into();
    spec
}

/// The job runs a container in the engine, and the engine ends after it.
fn job_runs(spec: &Value) -> Pod {
    let pod = Pod::new(spec, &Value::Null);
    pod.start();
    let (status, printed) = pod.ended("job");
    assert_eq!((status, printed.trim()), (0, "hello"));
    pod
}

#[test]
fn the_job_starts_when_the_engine_beside_it_is_ready_and_the_engine_ends_after_it() {
    let [(status, took)] = job_runs(&spec(SOCKET)).delete()[..] else { panic!("there is one sidecar") };
    assert_eq!(status, 0);
    promise("the end of a sidecar in which nothing runs", took, Duration::from_secs(9));
}

#[test]
fn a_job_reaches_the_engine_beside_it_over_tls_by_the_certificates_in_a_volume() {
    let pod = job_runs(&spec(TLS));
    let mut files: Vec<_> =
        fs::read_dir(pod.volume("certs")).unwrap().flatten().map(|file| file.file_name()).collect();
    files.sort();
    assert_eq!(files, ["ca.pem", "cert.pem", "key.pem"]);
    // Nobody does without.
    let refused = pod.exec_in("docker", &["docker", "--host", "tcp://localhost:2376", "version"]);
    assert!(refused.status != 0 && refused.stderr.contains("HTTPS"), "{refused:?}");
    let [(status, _)] = pod.delete()[..] else { panic!("there is one sidecar") };
    assert_eq!(status, 0);
}

#[test]
fn what_still_runs_when_the_pod_is_deleted_may_end_by_itself() {
    let mut spec = spec(SOCKET);
    // A job that leaves a container behind, which needs a while and does not end by TERM.
    let script = format!(
        "docker run --detach --name rest --volume /var/run:/out {} sh -c 'trap \"\" TERM; echo begun; sleep 12; echo done >/out/rest'",
        inner_image()
    );
    spec["containers"][0]["command"] = json!(["sh", "-c", script]);
    let pod = Pod::new(&spec, &Value::Null);
    pod.start();
    assert_eq!(pod.ended("job").0, 0);
    let file = pod.volume("run").join("rest");
    let mut rest = String::new();
    let ended = pod.delete_and(|| rest = fs::read_to_string(&file).unwrap_or_default());
    assert_eq!((ended[0].0, rest.trim()), (0, "done"), "the container was not drained");
}
