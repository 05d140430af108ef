//! Captured engines: `cases/NN-name/{engine.json, args, expected.json}`; without `engine.json` nobody listens.
//! `DIND_UPDATE=1` rewrites what is expected.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stub;

use dind_reaper::fault::{CODES, WARNINGS};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// The document, without what differs from run to run, and the exit status that goes with it.
fn run(case: &Path) -> (Value, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    if let Ok(answers) = fs::read(case.join("engine.json")) {
        stub::listen(&socket, serde_json::from_slice(&answers).unwrap());
    }
    let words = fs::read_to_string(case.join("args")).unwrap();
    let is_variable = |word: &&str| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
    let words: Vec<&str> = words.split_whitespace().collect();
    let variables = words.iter().copied().take_while(is_variable).filter_map(|word| word.split_once('='));
    let args = words.iter().copied().skip_while(is_variable);
    let mut command = Command::new(env!("CARGO_BIN_EXE_dind-reaper"));
    let host = format!("unix://{}", socket.display());
    command.env_clear().env("DOCKER_HOST", &host).envs(variables).args(args);
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap().replace(&host, "unix:///SOCKET");
    assert_eq!(stdout.lines().count(), 1, "{}: {stdout}", case.display());
    let mut document: Value = serde_json::from_str(&stdout).unwrap();
    let stopped = document.pointer_mut("/result/stopped").and_then(Value::as_array_mut);
    for stopped in stopped.into_iter().flatten() {
        assert!(stopped["ms"].take().is_u64());
    }
    (document, output.status.code())
}

#[test]
fn every_captured_engine_gets_its_document() {
    let update = std::env::var_os("DIND_UPDATE").is_some();
    let cases = cases();
    assert!(cases.len() >= 15, "the cases are gone: {}", cases.len());
    for case in cases {
        let started = Instant::now();
        let (document, status) = run(&case);
        assert!(started.elapsed() < Duration::from_secs(1), "{}: {:?}", case.display(), started.elapsed());
        let file = case.join("expected.json");
        if update {
            fs::write(&file, serde_json::to_string_pretty(&document).unwrap() + "\n").unwrap();
        }
        let expected: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(document, expected, "{}", case.display());
        let code = document["error"]["code"].as_str();
        let expected =
            code.map_or(0, |code| CODES.iter().find(|known| known.name == code).unwrap().exit as i32);
        assert_eq!(status, Some(expected), "{}", case.display());
        if code.is_some() {
            assert_ne!(document["error"]["hint"], "", "{}: an error without a cure", case.display());
        }
        for warning in document["warnings"].as_array().into_iter().flatten() {
            assert!(WARNINGS.contains(&warning["code"].as_str().unwrap()), "{warning}");
        }
    }
}
