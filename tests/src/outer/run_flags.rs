//! The flags that `doctor --run-flags` prints; and the suites that were written for `--privileged`, with those of another set.

use super::host;
use crate::{RUN_FLAGS, bin, scratch};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The engine's default runtime may be one that gives less than was asked for.
pub const RUNC: [&str; 2] = ["--runtime", "runc"];

/// What `doctor --run-flags` reports outside of any container, with the profile in the file that it names.
#[derive(Debug)]
pub struct RunFlags {
    /// The whole report.
    pub document: Value,
    directory: TempDir,
}

impl RunFlags {
    /// Runs `doctor --run-flags`.
    ///
    /// # Panics
    /// It fails.
    #[must_use]
    pub fn ask() -> Self {
        let mut flags = Self { document: Value::Null, directory: scratch() };
        let output = flags.doctor(&[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        flags.document = serde_json::from_slice(&output.stdout).unwrap();
        fs::write(flags.profile(), flags.document["result"]["seccomp_profile"].to_string()).unwrap();
        flags
    }

    fn profile(&self) -> PathBuf {
        self.directory.path().join("seccomp.json")
    }

    /// Runs `doctor --run-flags` with more arguments.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn doctor(&self, args: &[&str]) -> Output {
        let mut command = Command::new(bin("dind-launch"));
        command.env("DOCKER_HOST", host()).args(["doctor", "--run-flags", "--seccomp"]).arg(self.profile());
        command.args(args).output().unwrap()
    }

    /// The flags of one alternative, for the plain runc.
    ///
    /// # Panics
    /// There is no such alternative.
    #[must_use]
    pub fn of(&self, name: &str) -> Vec<String> {
        let flags = self.alternative(name)["flags"].as_array().unwrap().iter();
        let flags = flags.map(|flag| flag.as_str().unwrap().to_owned());
        RUNC.map(str::to_owned).into_iter().chain(flags).collect()
    }

    fn alternative(&self, name: &str) -> &Value {
        let alternatives = self.document["result"]["run_flags"].as_array().unwrap();
        let found = alternatives.iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("doctor knows no set `{name}`: {alternatives:?}"))
    }

    /// The reduced set without the flag whose value starts so.
    ///
    /// # Panics
    /// There is no such flag, or there are several.
    #[must_use]
    pub fn without(&self, value: &str) -> Vec<String> {
        let flags = self.of("reduced");
        let kept = flags.chunks(2).filter(|pair| !pair[1].starts_with(value));
        let kept: Vec<_> = kept.flatten().cloned().collect();
        assert_eq!(kept.len() + 2, flags.len(), "one of {flags:?} starts with {value}");
        kept
    }
}

/// The words of a `docker run` or `docker create`, with the flags of the set that `DIND_TEST_RUN_FLAGS` names in the place of
/// `--privileged`; all others as they are.
///
/// # Panics
/// `doctor` does not say that the set works on this machine.
pub(super) fn exchanged<'a>(args: &[&'a str]) -> Vec<&'a str> {
    static FLAGS: OnceLock<Option<(Vec<String>, RunFlags)>> = OnceLock::new();
    let creates = matches!(args.first(), Some(&"run" | &"create"));
    let privileged = args.iter().position(|word| *word == "--privileged").filter(|_| creates);
    let flags = || {
        // The file with the profile has to stay.
        let set = std::env::var(RUN_FLAGS).ok()?;
        let flags = RunFlags::ask();
        assert_eq!(flags.alternative(&set)["works"], true, "{}", flags.document);
        Some((flags.of(&set), flags))
    };
    match (privileged, privileged.and_then(|_| FLAGS.get_or_init(flags).as_ref())) {
        (Some(at), Some((flags, _))) => {
            let flags = flags.iter().map(String::as_str);
            args[..at].iter().copied().chain(flags).chain(args[at + 1..].iter().copied()).collect()
        }
        _ => args.to_vec(),
    }
}
