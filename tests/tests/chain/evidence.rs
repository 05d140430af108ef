//! Evidence of a node whose engine never came up, and of a directory that cannot be used. `dropin` has what comes from containers.

use crate::site::{Site, stderr};
use dind_tests::bin;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// The reaper itself among the stubs.
fn with_reaper() -> Site {
    let site = Site::new();
    fs::remove_file(site.path().join("dind-reaper")).unwrap();
    symlink(bin("dind-reaper"), site.path().join("dind-reaper")).unwrap();
    site
}

/// The directory of the only run.
fn run_of(site: &Site) -> PathBuf {
    let runs: Vec<_> = fs::read_dir(site.path().join("evidence")).unwrap().flatten().collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].path()
}

fn record(site: &Site) -> Value {
    serde_json::from_str(&fs::read_to_string(run_of(site).join("record.json")).unwrap()).unwrap()
}

#[test]
fn a_node_that_could_not_be_started_leaves_its_record_and_the_engine_s_words() {
    let site = with_reaper().mode("dockerd", "die");
    let mut run = site.command(&["run", "--", "true"]);
    let output = run.env("DIND_EVIDENCE", site.path().join("evidence")).output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    let log = fs::read_to_string(run_of(&site).join("engine.log")).unwrap();
    assert_eq!(log, "unknown flag: --stub\n");
    let record = record(&site);
    assert_eq!((&record["state"], &record["exit_status"]), (&"failed".into(), &125.into()));
    assert_eq!(record["error"]["code"], "engine-died");
}

#[test]
fn a_failure_before_the_engine_leaves_the_record() {
    let site = with_reaper().mode("dind-storage", "fail apply");
    let mut run = site.command(&["run", "--", "true"]);
    let output = run.env("DIND_EVIDENCE", site.path().join("evidence")).output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert_eq!(record(&site)["error"]["code"], "stage-failed");
}

#[test]
fn a_directory_that_cannot_be_used_is_a_warning_and_breaks_nothing() {
    let site = with_reaper();
    let file = site.path().join("file");
    fs::write(&file, "").unwrap();
    let mut run = site.command(&["run", "--", "sh", "-c", "exit 3"]);
    let output = run.env("DIND_EVIDENCE", file.join("evidence")).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let warnings = site.record()["warnings"].to_string();
    assert!(warnings.contains("evidence-missing"), "{warnings}");
}

#[test]
fn wrong_settings_of_evidence_are_refused_before_anything_starts() {
    for (name, value) in [("DIND_EVIDENCE", "evidence"), ("DIND_EVIDENCE_SIZE", "5")] {
        let site = Site::new();
        let output = site.command(&["run", "--", "true"]).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(125));
        assert!(stderr(&output).contains(&format!("invalid {name} value `{value}`")), "{}", stderr(&output));
        assert!(site.events().is_empty());
    }
}
