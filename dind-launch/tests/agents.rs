//! Captured containers: each case is a root folder, one line of variables and arguments, and what `plan` says of a Mesos
//! agent there. The programs around the launcher are stubs: what they say is not what is tested here.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Stubs of everything that a launcher wants to find, in a folder of their own. The storage is a 20 GiB volume.
fn stubs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let document = |name: &str, result: Value| {
        let engine = json!({"config": {}, "path_prepend": []});
        let document = json!({
            "schema": format!("dind.{name}/v1"), "ok": true, "mode": "plan", "changed": false, "result": result,
            "engine": engine, "steps": [], "warnings": [],
        });
        format!("echo '{document}'")
    };
    let space = json!({"image": null, "space": {"total_bytes": 20_u64 << 30}});
    for (name, script) in [
        ("dind-storage", document("storage", space)),
        ("dind-net", document("net", json!({}))),
        ("dind-reaper", String::new()),
        ("dockerd", String::new()),
        ("containerd", String::new()),
        ("mesos-agent", String::new()),
        ("mesos-slave", String::new()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// Runs a case and keeps what the container has a say in.
fn run(case: &Path, stubs: &Path) -> Value {
    let line = fs::read_to_string(case.join("args")).unwrap();
    let mut words = shell_words::split(&line).unwrap().into_iter().peekable();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dind-launch"));
    command.env_clear().env("PATH", stubs).env("DIND_TOOLS", stubs);
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        command.env(name, value);
        words.next();
    }
    let output = command.arg("--root").arg(case.join("root")).args(words).output().unwrap();
    let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
    if document["ok"] == false {
        return json!({"exit": output.status.code(), "error": document["error"].take()});
    }
    let result = document["result"].take();
    json!({
        "exit": output.status.code(),
        "command": result["command"],
        "main_stop_signal": result["main_stop_signal"],
        "mesos": result["mesos"],
        "warnings": document["warnings"].take(),
    })
}

#[test]
fn captured_containers() {
    let (stubs, folder) = (stubs(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents"));
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 10, "cases are missing");
    for case in cases {
        let (found, path) = (run(&case, stubs.path()), case.join("expected.json"));
        if std::env::var_os("DIND_UPDATE").is_some() {
            fs::write(&path, format!("{found:#}\n")).unwrap();
        }
        let expected: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(found, expected, "{}", case.display());
    }
}
