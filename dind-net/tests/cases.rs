//! Captured machines: each case is a root folder, one line of arguments, and what the tool says.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs a case; what it says is JSON, or one line of flags.
fn run(case: &Path) -> Value {
    let line = fs::read_to_string(case.join("args")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dind-net"));
    command.env_clear();
    let mut words = line.split_whitespace().peekable();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        if name.starts_with('-') {
            break;
        }
        command.env(name, value);
        words.next();
    }
    let output = command.args(words).arg("--root").arg(case.join("root")).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.matches('\n').count(), 1, "{line}: stdout is one line: {stdout}");
    // The folder differs from one checkout to the next.
    let stdout = stdout.replace(case.join("root").to_str().unwrap(), "/ROOT");
    let document = serde_json::from_str(&stdout).unwrap_or_else(|_| json!(stdout.trim_end()));
    json!({"exit": output.status.code(), "stdout": document})
}

#[test]
fn captured_machines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 20, "cases are missing");
    for case in cases {
        let (found, path) = (run(&case), case.join("expected.json"));
        if std::env::var_os("DIND_UPDATE").is_some() {
            fs::write(&path, format!("{found:#}\n")).unwrap();
        }
        let expected: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(found, expected, "{}", case.display());
    }
}
