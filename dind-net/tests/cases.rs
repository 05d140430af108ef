//! Captured machines, and the documents of `dind-net plan` for them.

use dind_net::fault::{CODES, WARNINGS};
use dind_tests::captured::{Captured, root};

#[test]
fn every_captured_machine_gets_its_document() {
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    let captured = Captured {
        program: env!("CARGO_BIN_EXE_dind-net"),
        directory: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        least: 50,
        codes: &codes,
        warnings: WARNINGS,
    };
    captured.check(root, |_| ());
}
