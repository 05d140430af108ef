//! Captured machines, and the documents that `dind-storage` prints for them.

use dind_storage::fault::{CODES, WARNINGS};
use dind_tests::captured::{Captured, root};

#[test]
fn every_captured_machine_gets_its_document() {
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    let captured = Captured {
        program: env!("CARGO_BIN_EXE_dind-storage"),
        directory: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        least: 44,
        codes: &codes,
        warnings: WARNINGS,
    };
    captured.check(root, |_| ());
}
