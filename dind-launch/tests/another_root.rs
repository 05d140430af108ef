//! `--root` is another machine for `plan`; what looks at this one or changes it does not offer it, and refuses its variable.

#![allow(clippy::unwrap_used)]

mod stubs;

use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Output};
use stubs::{programs, stubs};

fn launch(args: &[&str]) -> (Output, Value) {
    with(&[], args)
}

/// Where the variable names another machine.
fn elsewhere(args: &[&str]) -> (Output, Value) {
    with(&[("DIND_ROOT", "/captured")], args)
}

fn with(variables: &[(&str, &str)], args: &[&str]) -> (Output, Value) {
    let stubs = stubs();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dind-launch"));
    command.env_clear().env("DIND_TOOLS", stubs.path()).envs(variables.iter().copied());
    let output = command.args(args).output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, document)
}

#[test]
fn a_plan_reads_settings_programs_and_archives_below_it() {
    let machine = tempfile::tempdir().unwrap();
    let root = machine.path();
    programs(root);
    for (path, text) in [
        ("etc/docker/daemon.json", r#"{"labels": ["of=another"]}"#),
        ("images/one.tar", ""),
        ("proc/self/cgroup", "0::/\n"),
        ("proc/self/mountinfo", "1 0 0:1 / / rw shared:1 - overlay overlay rw\n"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (output, plan) = launch(&["plan", "--root", root.to_str().unwrap(), "--preload", "/images"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(plan["engine"]["config"]["labels"], json!(["of=another"]));
    let result = &plan["result"];
    assert_eq!(result["programs"]["dockerd"], "/usr/bin/dockerd");
    assert_eq!(
        (&result["command"], &result["preload"]),
        (&json!(["mesos-agent"]), &json!(["/images/one.tar"]))
    );
    let (output, missing) = launch(&["plan", "--root", root.to_str().unwrap(), "--", "sh"]);
    assert_eq!((output.status.code(), &missing["error"]["code"]), (Some(78), &json!("command-not-found")));
}

#[test]
fn other_verbs_refuse_it() {
    for args in [&["status"][..], &["reload"], &["preload", "/images"], &["prepare"]] {
        let (output, _) = launch(&[args, &["--root", "/captured"]].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}: {output:?}");
        let (output, document) = elsewhere(args);
        assert_eq!(output.status.code(), Some(78), "{args:?}: {output:?}");
        assert_eq!(document["error"]["code"], "root-is-fake", "{args:?}");
    }
    let (output, _) = elsewhere(&["run", "--", "true"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("cannot run a node below `/captured`"),
        "{output:?}"
    );
}
