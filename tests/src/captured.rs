//! Captured machines: `NN-name/{args, expected.json}`, and `root/…` or what else a tool needs of its surroundings.
//! `DIND_UPDATE=1` rewrites what is expected.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A plan reads some files; one that waits for a stub engine that hangs gives up before.
const LIMIT: Duration = Duration::from_secs(1);

/// A text that differs from run to run, and what stands for it in `expected.json`.
pub type Replacement = (String, &'static str);

/// A tool's cases, and what holds for its documents.
#[derive(Debug)]
pub struct Captured<'a> {
    /// The tool, by path.
    pub program: &'a str,
    /// The directory of the cases.
    pub directory: &'a str,
    /// How many there are at least: none would prove nothing.
    pub least: usize,
    /// The code of every error, and its exit status.
    pub codes: &'a [(&'a str, u8)],
    /// The code of every warning.
    pub warnings: &'a [&'a str],
}

impl Captured<'_> {
    /// Runs every case. `prepare` sets up the command; the case's own variables and arguments come after it and win. `keep`
    /// removes from a document what cannot be expected.
    ///
    /// # Panics
    /// A case does not end as expected.
    pub fn check(&self, prepare: impl Fn(&Path, &mut Command) -> Replacement, keep: impl Fn(&mut Value)) {
        let entries = fs::read_dir(self.directory).unwrap();
        let cases: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        assert!(cases.len() >= self.least, "only {} cases are left", cases.len());
        let numbers: BTreeSet<_> =
            cases.iter().map(|case| case.file_name().unwrap().to_str().unwrap()[..2].to_owned()).collect();
        assert_eq!(numbers.len(), cases.len(), "a number is used twice");
        for case in cases {
            // Shown if the case fails.
            eprintln!("{}", case.display());
            let (mut document, status) = self.run(&case, &prepare);
            keep(&mut document);
            assert_written(case.join("expected.json"), &format!("{document:#}\n"));
            self.check_contract(&document, status);
        }
    }

    fn run(&self, case: &Path, prepare: impl Fn(&Path, &mut Command) -> Replacement) -> (Value, Option<i32>) {
        let mut command = program(self.program);
        let (varying, name) = prepare(case, command.env_clear());
        let words = shell_words::split(&fs::read_to_string(case.join("args")).unwrap()).unwrap();
        let is_variable =
            |word: &&String| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
        command.envs(words.iter().take_while(is_variable).filter_map(|word| word.split_once('=')));
        command.args(words.iter().skip_while(is_variable));
        let started = Instant::now();
        let output = command.output().unwrap();
        crate::within(case.display(), started.elapsed(), LIMIT);
        let stdout = String::from_utf8(output.stdout).unwrap().replace(&varying, name);
        let line = stdout.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "more than a line: {line}");
        let document = serde_json::from_str(line).unwrap_or_else(|error| {
            assert!(words.iter().any(|word| word == "flags"), "{error}: {line}");
            json!(line)
        });
        (document, output.status.code())
    }

    /// What holds for all tools.
    fn check_contract(&self, document: &Value, status: Option<i32>) {
        let error = &document["error"];
        let expected = error["code"].as_str().map_or(0, |code| {
            assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "an error without a hint");
            self.codes.iter().find(|(name, _)| *name == code).expect("the code is known").1
        });
        assert_eq!(status, Some(i32::from(expected)));
        for warning in document["warnings"].as_array().into_iter().flatten() {
            assert!(self.warnings.contains(&warning["code"].as_str().unwrap()), "{warning}");
        }
    }
}

/// A command of a program that cargo has built with its caller, run by what cargo runs the caller by: QEMU, where both are for another
/// processor than the machine's (Cargo's book, "target.<triple>.runner").
fn program(path: &str) -> Command {
    let target = format!("{}_UNKNOWN_LINUX_GNU", std::env::consts::ARCH.to_uppercase());
    match std::env::var(format!("CARGO_TARGET_{target}_RUNNER")) {
        Ok(runner) => {
            let mut words = runner.split_whitespace();
            let mut command = Command::new(words.next().unwrap_or(path));
            command.args(words).arg(path);
            command
        }
        Err(_) => Command::new(path),
    }
}

/// The machine of a case is the directory `root` in it.
pub fn root(case: &Path, command: &mut Command) -> Replacement {
    let root = case.join("root");
    command.env("DIND_ROOT", &root);
    (root.display().to_string(), "/ROOT")
}

/// Compares with a file that is checked in, or writes it.
///
/// # Panics
/// They differ, or the file is not there.
pub fn assert_written(file: impl AsRef<Path>, found: &str) {
    let file = file.as_ref();
    if std::env::var_os("DIND_UPDATE").is_some() {
        fs::write(file, found).unwrap();
    }
    let written = fs::read_to_string(file).unwrap();
    let first = found.lines().zip(written.lines()).find(|(found, written)| found != written);
    let name = file.display();
    assert!(
        found == written,
        "{name}: found and written differ, first in {first:?}; DIND_UPDATE=1 rewrites it"
    );
}
