//! Captured machines: `cases/NN-name/{root/…, args, expected.json}`. `DIND_UPDATE=1` rewrites what is expected.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_launch::doctor::run_flags::profile;
use dind_launch::fault::{CODES, WARNINGS};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// The document, without the long profile that the program carries, and the exit status that goes with it.
fn run(case: &Path) -> (Value, Option<i32>) {
    let words = shell_words::split(fs::read_to_string(case.join("args")).unwrap().trim()).unwrap();
    let is_variable = |word: &&String| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
    let variables = words.iter().take_while(is_variable).filter_map(|word| word.split_once('='));
    let args = words.iter().skip_while(is_variable);
    let mut command = Command::new(env!("CARGO_BIN_EXE_dind-launch"));
    command.env_clear().envs(variables).args(args).arg("--root").arg(case.join("root"));
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.lines().count(), 1, "{}: {stdout}", case.display());
    let mut document: Value = serde_json::from_str(&stdout).unwrap();
    if let Some(result) = document.get_mut("result").and_then(Value::as_object_mut) {
        let carried = result.remove("seccomp_profile");
        assert_eq!(carried.is_some(), result.contains_key("run_flags"), "{}", case.display());
        assert!(carried.is_none_or(|carried| carried == profile()), "{}", case.display());
    }
    (document, output.status.code())
}

#[test]
fn every_captured_machine_gets_its_document() {
    let update = std::env::var_os("DIND_UPDATE").is_some();
    let cases = cases();
    assert!(cases.len() >= 16, "the cases are gone: {}", cases.len());
    for case in cases {
        let (document, status) = run(&case);
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

#[test]
fn numbers_are_used_once() {
    let cases = cases();
    let numbers: BTreeSet<_> =
        cases.iter().map(|case| case.file_name().unwrap().to_str().unwrap()[..2].to_owned()).collect();
    assert_eq!(numbers.len(), cases.len());
}
