//! Stages of the user's own (`DIND_STAGES`): ten lines of shell between network and engine.

use crate::site::{Site, document, stderr};
use dind_tests::pages::Page;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

/// The one in the README of the contract. It notes its calls beside the stubs, whose directory is on its PATH.
fn readme_stage() -> String {
    let page = Page::of("dind-launch/contract/README.md");
    let script = page.block("#!/bin/sh\n").text.clone();
    assert!(script.lines().count() <= 11, "ten lines of shell:\n{script}");
    script
}

fn install(site: &Site, name: &str, script: &str) {
    let path = site.path().join(name);
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A stage that notes what it is asked, and whose document has this `engine.config`.
fn noting(site: &Site, name: &str, config: &str, more: &str) {
    let schema = name.replace('-', ".");
    let script = format!(
        "#!/bin/sh\necho {name} $1 $FOR_STAGES >>{}/events\n{more}\n\
         echo '{{\"schema\":\"{schema}/v1\",\"ok\":true,\"mode\":\"'$1'\",\"changed\":true,\"result\":{{}},\"steps\":[],\
         \"engine\":{{\"config\":{config}}},\"warnings\":[]}}'\n",
        site.path().display()
    );
    install(site, name, &script);
}

fn run(site: &Site, stages: &str) -> Output {
    let mut command = site.command(&["run", "--", "true"]);
    command.env("DIND_STAGES", stages).env("FOR_STAGES", "seen").output().unwrap()
}

fn refused(output: &Output, cause: &str) {
    assert_eq!(output.status.code(), Some(125), "{}", stderr(output));
    assert!(stderr(output).contains(cause), "{}", stderr(output));
}

#[test]
fn a_stage_runs_between_network_and_engine_and_is_released_before_the_network() {
    let site = Site::new();
    noting(&site, "first", r#"{"debug":true}"#, "");
    noting(&site, "second-one", r#"{"debug":true,"labels":["a=b"]}"#, "");
    let output = run(&site, &format!("first {}", site.path().join("second-one").display()));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    let events = site.events();
    let at = |event: &str| {
        let found = events.iter().position(|seen| seen == event);
        found.unwrap_or_else(|| panic!("{event} is not there: {events:?}"))
    };
    assert!(at("first plan seen").max(at("second-one plan seen")) < at("dind-net apply"), "{events:?}");
    let order =
        ["dind-net apply", "first apply seen", "second-one apply seen", "dockerd start", "dockerd SIGTERM"];
    let order = [&order[..], &["second-one release seen", "first release seen", "dind-net release"]].concat();
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{events:?}");

    let record = site.record();
    let config = &record["daemon_json"];
    assert_eq!((&config["debug"], &config["labels"]), (&true.into(), &serde_json::json!(["a=b"])));
    assert_eq!(record["documents"]["second-one"]["mode"], "apply");
    assert_eq!(record["documents"]["release-first"]["mode"], "release");
    let stages = record["stages"].as_array().unwrap().iter();
    let stages: Vec<_> = stages.map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(stages[3..6], ["net", "stages", "engine"]);
    assert!(stages.contains(&"release-stages"), "{stages:?}");
}

#[test]
fn the_plan_names_the_stages_and_merges_their_settings() {
    let site = Site::new();
    noting(&site, "mirror", r#"{"registry-mirrors":["http://mirror:5000"]}"#, "");
    let output = site.command(&["plan", "--", "true"]).env("DIND_STAGES", "mirror").output().unwrap();
    let (status, plan) = document(&output);
    assert_eq!(status, 0, "{plan}");
    assert_eq!(plan["engine"]["config"]["registry-mirrors"][0], "http://mirror:5000");
    assert_eq!(plan["result"]["documents"]["mirror"]["mode"], "plan");
    assert!(Path::new(plan["result"]["programs"]["mirror"].as_str().unwrap()).starts_with(site.path()));
    let steps = plan["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["op"] == "stages"), "{steps:?}");
    assert!(!site.events().iter().any(|event| event.ends_with("apply")), "a plan changes nothing");
}

#[test]
fn the_stage_of_the_readme_works() {
    let site = Site::new();
    install(&site, "registry-mirror", &readme_stage());
    let mut command = site.command(&["run", "--", "true"]);
    command.env("DIND_STAGES", "registry-mirror").env("MIRROR", "http://mirror:5000");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let record = site.record();
    assert_eq!(record["daemon_json"]["registry-mirrors"], serde_json::json!(["http://mirror:5000"]));

    let without = Site::new();
    install(&without, "registry-mirror", &readme_stage());
    refused(&run(&without, "registry-mirror"), "MIRROR is not set");
    assert!(!without.events().iter().any(|event| event.contains("apply")), "{:?}", without.events());
}

#[test]
fn what_a_stage_may_not_do_is_refused_before_anything_changes() {
    let site = Site::new();
    noting(&site, "mover", r#"{"data-root":"/elsewhere"}"#, "");
    noting(&site, "other-schema", "{}", "echo hello; exit 0");
    for (stages, cause) in [
        ("mover", "cannot set `data-root`: `mover` wants \"/elsewhere\", and `storage` has decided"),
        ("other-schema", "cannot read the document of `other-schema`"),
        ("missing", "`missing` is not a program"),
        ("mover mover", "`mover` is there twice"),
    ] {
        refused(&run(&site, stages), cause);
        assert!(!site.events().iter().any(|event| event.contains("apply")), "{stages}: {:?}", site.events());
    }
}

#[test]
fn a_stage_that_fails_ends_the_node_and_what_was_applied_is_released() {
    let site = Site::new();
    noting(&site, "first", "{}", "");
    let failing = r#"test $1 != apply || { echo '{"schema":"second/v1","ok":false,"mode":"apply","steps":[],
        "error":{"code":"no-luck","message":"cannot go on: no luck","causes":[],"hint":"try again"}}'; exit 75; }"#;
    noting(&site, "second", "{}", failing);
    let output = run(&site, "first second");
    refused(&output, "`second apply` failed: no-luck");
    let events = site.events();
    let last = events.iter().rev().take(4).rev().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(
        last,
        ["second release seen", "first release seen", "dind-net release", "dind-storage release"]
    );
    assert!(!events.contains(&"dockerd start".to_owned()), "{events:?}");
}

#[test]
fn a_stage_may_leave_a_daemon_that_keeps_its_stdout() {
    let site = Site::new();
    // Its end is the node's: whatever PID 1 leaves is killed.
    noting(&site, "daemon", r#"{"debug":true}"#, "test $1 != apply || sleep 600 &");
    let output = run(&site, "daemon");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(site.record()["daemon_json"]["debug"], true);
}

#[test]
fn a_stage_that_cannot_be_understood_is_named_with_what_to_do_about_it() {
    for (script, causes) in [
        (
            "#!/no/such/interpreter\n",
            ["cannot execute", "check its mode, and the program that its first line names"],
        ),
        (
            "#!/bin/sh\necho hello\n",
            [
                "cannot read the document of `broken`",
                "run `broken plan` in the image: it must print one JSON document",
            ],
        ),
        (
            "#!/bin/sh\nexit 3\n",
            ["it exited with status 3, and stdout is not JSON", "dind-launch/contract/README.md"],
        ),
    ] {
        let site = Site::new();
        install(&site, "broken", script);
        let output = run(&site, "broken");
        causes.iter().for_each(|cause| refused(&output, cause));
    }
}
