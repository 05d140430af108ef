//! Captured engines, and the documents that `dind-reaper` prints about them. Without `engine.json` nothing listens.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stub;

use dind_reaper::fault::{CODES, WARNINGS};
use dind_tests::captured::Captured;
use serde_json::Value;
use std::fs;

#[test]
fn every_captured_engine_gets_its_document() {
    let sockets = tempfile::tempdir().unwrap();
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    let captured = Captured {
        program: env!("CARGO_BIN_EXE_dind-reaper"),
        directory: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        least: 15,
        codes: &codes,
        warnings: WARNINGS,
    };
    captured.check(
        |case, command| {
            let socket = sockets.path().join(case.file_name().unwrap());
            if let Ok(answers) = fs::read(case.join("engine.json")) {
                stub::listen(&socket, serde_json::from_slice(&answers).unwrap());
            }
            let host = format!("unix://{}", socket.display());
            command.env("DOCKER_HOST", &host);
            (host, "unix:///SOCKET")
        },
        |document| {
            let stopped = document.pointer_mut("/result/stopped").and_then(Value::as_array_mut);
            for stopped in stopped.into_iter().flatten() {
                assert!(stopped["ms"].take().is_u64());
            }
        },
    );
}
