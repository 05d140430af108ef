//! What `plan` lists is what `stop` then does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stub;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// An engine with these containers, each of which ends with 0 once it is asked to stop.
fn engine(names: &[&str]) -> Value {
    let list: Vec<_> = names.iter().map(|name| json!({"Id": name, "Names": [format!("/{name}")]})).collect();
    let mut answers = json!({
        "GET /_ping": {"status": 200, "text": "OK"},
        "GET /containers/json": [{"status": 200, "body": list}, {"status": 200, "body": []}],
    });
    for name in names {
        let state = json!({"State": {"Running": true, "Status": "running"}, "Config": {}});
        answers[format!("GET /containers/{name}/json")] = json!({"status": 200, "body": state});
        answers[format!("POST /containers/{name}/wait")] = json!({"status": 200, "body": {"StatusCode": 0}});
        answers[format!("POST /containers/{name}/stop")] = json!({"status": 204});
    }
    answers
}

/// The op and target of each step, in the given state.
fn steps(socket: &Path, verb: &str, state: &str) -> BTreeSet<(String, String)> {
    let host = format!("unix://{}", socket.display());
    let mut reaper = Command::new(env!("CARGO_BIN_EXE_dind-reaper"));
    let output = reaper.env_clear().args([verb, "--host", &host]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = document["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["state"] == state), "{document}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    steps.iter().map(|step| (text(&step["op"]), text(&step["target"]))).collect()
}

#[test]
fn a_stop_takes_the_steps_of_its_plan() {
    let sockets = tempfile::tempdir().unwrap();
    let [for_plan, for_stop] = ["plan", "stop"].map(|name| {
        let socket = sockets.path().join(name);
        stub::listen(&socket, engine(&["web", "worker", "db"]));
        socket
    });
    let planned = steps(&for_plan, "plan", "planned");
    assert_eq!(planned.len(), 3);
    assert_eq!(planned, steps(&for_stop, "stop", "done"));
}
