//! `DIND_STAGES` in a real node: the stage that the contract's page shows, and the one in `dind-launch/examples/stage`.

use dind_tests::outer::{Node, Share, docker};
use dind_tests::pages::Page;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The program that the page shows.
fn shown() -> String {
    Page::of("dind-launch/contract/README.md").block("#!/bin/sh\n").text.clone()
}

/// A directory with a stage in it, for `--volume`.
fn installed(name: &str, script: &str) -> (Share, String) {
    let stages = Share::new();
    let path = stages.path(name);
    fs::write(&path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let volume = stages.volume().replace(":/share", ":/stages:ro");
    (stages, volume)
}

#[test]
fn the_stage_of_the_contract_gives_the_engine_a_mirror() {
    let (_stages, volume) = installed("registry-mirror", &shown());
    let variables = ["--env", "DIND_STAGES=/stages/registry-mirror", "--env", "MIRROR=http://mirror:5000"];
    let node = Node::start(&[&variables[..], &["--volume", &volume]].concat(), &[]);
    node.until_running();

    let mirrors = node.inner(&["info", "--format", "{{json .RegistryConfig.Mirrors}}"]);
    let mirrors: Value = serde_json::from_str(&mirrors).unwrap();
    assert_eq!(mirrors, json!(["http://mirror:5000/"]), "what dockerd goes by");
    let document = &node.record()["documents"]["registry-mirror"];
    assert_eq!((&document["mode"], &document["schema"]), (&json!("apply"), &json!("registry.mirror/v1")));

    assert_eq!(node.stop().0, 0);
    let record = node.last_record();
    assert_eq!(record["documents"]["release-registry-mirror"]["mode"], "release", "{record}");
}

#[test]
fn a_stage_that_refuses_its_settings_ends_the_node_before_its_engine_starts() {
    let (_stages, volume) = installed("registry-mirror", &shown());
    let variable = ["--env", "DIND_STAGES=/stages/registry-mirror", "--volume", &volume];
    let node = Node::start(&variable, &[]);
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    let log = node.log();
    assert!(log.contains("cannot read MIRROR: MIRROR is not set"), "{log}");
    assert!(log.contains("set MIRROR=http://HOST:PORT"), "{log}");
}

#[test]
fn a_stage_that_changes_something_outlives_a_restart_and_a_kill_and_gives_back() {
    let (_stages, volume) =
        installed("hosts-entry", include_str!("../../../dind-launch/examples/stage/hosts-entry"));
    let variables = ["--env", "DIND_STAGES=/stages/hosts-entry", "--env", "HOSTS_ENTRY=10.0.0.5 mirror"];
    let node = Node::start(&[&variables[..], &["--volume", &volume]].concat(), &[]);
    let lines = || node.exec(&["grep", "--count", "10.0.0.5 mirror", "/etc/hosts"]).stdout;
    let apply = || node.record()["documents"]["hosts-entry"]["changed"].clone();
    node.until_running();
    assert_eq!((lines().as_str(), apply()), ("1", json!(true)));
    docker(&["restart", "--time", "10", &node.name]).ok();
    node.until_running();
    assert_eq!((lines().as_str(), apply()), ("1", json!(true)), "it was given back, and is there again");
    docker(&["kill", &node.name]).ok();
    assert_eq!(node.exit_status(), 137);
    node.start_again();
    assert_eq!(lines(), "1", "after a kill it is there once");
    assert_eq!(node.stop().0, 0);
    let released = &node.last_record()["documents"]["release-hosts-entry"];
    assert_eq!(
        (&released["changed"], &released["steps"][0]["state"]),
        (&json!(true), &json!("done")),
        "{released}"
    );
}
