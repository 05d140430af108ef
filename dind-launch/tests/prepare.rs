//! Captured containers, and what `plan` says of their preparation. The first five are real ones on cgroup v1: `done.json` has
//! the steps that `run` made there, and the plan is to have the same.

#![allow(clippy::unwrap_used)]

mod stubs;

use dind_launch::fault::{CODES, WARNINGS};
use dind_tests::captured::{Captured, root};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use stubs::{programs, stubs};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prepare");

#[test]
fn every_captured_container_gets_its_plan() {
    let stubs = stubs();
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    let captured = Captured {
        program: env!("CARGO_BIN_EXE_dind-launch"),
        directory: CASES,
        least: 11,
        codes: &codes,
        warnings: WARNINGS,
    };
    captured.check(
        |case, command| {
            // Git does not keep empty directories.
            fs::create_dir_all(case.join("root/tmp")).unwrap();
            programs(&case.join("root"));
            root(case, command.env("DIND_TOOLS", stubs.path()))
        },
        |document| {
            let plan = document["result"]["documents"]["prepare"].take();
            assert_eq!((&plan["mode"], &plan["changed"]), (&json!("plan"), &json!(false)));
            *document = json!({
                "result": plan["result"], "steps": plan["steps"], "warnings": document["warnings"],
            });
        },
    );
}

/// The op, the target, and whether there was something to do.
fn steps(steps: &Value) -> Vec<(String, String, bool)> {
    let text = |step: &Value, key| step[key].as_str().unwrap().to_owned();
    let step = |step: &Value| (text(step, "op"), text(step, "target"), step["state"] != "skipped");
    steps.as_array().unwrap().iter().map(step).collect()
}

#[test]
fn the_plan_is_what_was_done() {
    let read = |file: &Path| -> Value { serde_json::from_slice(&fs::read(file).unwrap()).unwrap() };
    let cases = fs::read_dir(CASES).unwrap().map(|case| case.unwrap().path());
    let real: Vec<_> = cases.filter(|case| case.join("done.json").exists()).collect();
    assert_eq!(real.len(), 5);
    for case in real {
        let planned = &read(&case.join("expected.json"))["steps"];
        assert_eq!(steps(planned), steps(&read(&case.join("done.json"))), "{}", case.display());
    }
}
