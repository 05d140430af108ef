//! Captured machines, and what `dind-launch` says of them.

use dind_launch::doctor::run_flags::profile;
use dind_launch::fault::{CODES, WARNINGS};
use dind_tests::captured::{Captured, root};
use serde_json::Value;

#[test]
fn every_captured_machine_gets_its_document() {
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    let captured = Captured {
        program: env!("CARGO_BIN_EXE_dind-launch"),
        directory: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        least: 28,
        codes: &codes,
        warnings: WARNINGS,
    };
    captured.check(root, |document| {
        // Long, and the same in each.
        if let Some(result) = document.get_mut("result").and_then(Value::as_object_mut) {
            let carried = result.remove("seccomp_profile");
            assert_eq!(carried.is_some(), result.contains_key("run_flags"));
            assert!(carried.is_none_or(|carried| carried == profile()));
        }
    });
}
