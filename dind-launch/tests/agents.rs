//! Captured containers, and what `plan` says of a Mesos agent there. The programs around the launcher are stubs: what they say is not what is tested here.

#![allow(clippy::unwrap_used)]

use dind_launch::fault::{CODES, WARNINGS};
use dind_tests::captured::{Captured, root};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

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

#[test]
fn every_captured_container_gets_its_plan() {
    let stubs = stubs();
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    let captured = Captured {
        program: env!("CARGO_BIN_EXE_dind-launch"),
        directory: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agents"),
        least: 15,
        codes: &codes,
        warnings: WARNINGS,
    };
    captured.check(
        |case, command| root(case, command.env("PATH", stubs.path()).env("DIND_TOOLS", stubs.path())),
        |document| {
            // What the container has a say in.
            let result = document["result"].take();
            *document = match document["error"].take() {
                Value::Null => json!({
                    "command": result["command"],
                    "main_stop_signal": result["main_stop_signal"],
                    "mesos": result["mesos"],
                    "warnings": document["warnings"],
                }),
                error => json!({"error": error}),
            };
        },
    );
}
