//! Stubs of the programs around the launcher. What they say is not what is tested.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Puts programs into a captured container: of its files, those that say something are kept, and none of these does.
pub(crate) fn programs(root: &Path) {
    let directory = root.join("usr/bin");
    fs::create_dir_all(&directory).unwrap();
    for name in ["containerd", "dockerd", "mesos-agent", "mesos-slave", "true"] {
        let file = directory.join(name);
        fs::write(&file, "").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Stubs of everything that a launcher wants to find, in a directory of their own. The storage is a 20 GiB volume.
pub(crate) fn stubs() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
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
        let path = directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}
