//! Captured containers, and what `plan` says of a Mesos agent there.

#![allow(clippy::unwrap_used)]

mod stubs;

use dind_launch::fault::{CODES, WARNINGS};
use dind_tests::captured::{Captured, root};
use serde_json::{Value, json};
use stubs::{programs, stubs};

#[test]
fn every_captured_container_gets_its_plan() {
    let stubs = stubs();
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    let captured = Captured {
        program: env!("CARGO_BIN_EXE_dind-launch"),
        directory: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mesos_agents"),
        least: 15,
        codes: &codes,
        warnings: WARNINGS,
    };
    captured.check(
        |case, command| {
            programs(&case.join("root"));
            root(case, command.env("DIND_TOOLS", stubs.path()))
        },
        |document| {
            // What depends on the container.
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
