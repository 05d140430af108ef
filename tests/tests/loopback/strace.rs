//! An apply whose system calls are looked at, or fail on request.

use crate::machine::Machine;
use dind_tests::bin;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How strace shall run.
pub(crate) struct Strace {
    calls: String,
    before: Vec<&'static str>,
    args: Vec<String>,
    size: &'static str,
    from: Option<PathBuf>,
}

impl Strace {
    /// Looks at these calls, separated by commas. Each counts for itself.
    pub(crate) fn of(calls: &str) -> Self {
        let args = vec![format!("--trace={calls}")];
        Self { calls: calls.to_owned(), before: Vec::new(), args, size: "64MiB", from: None }
    }

    /// Makes them fail: `error=EIO:when=2`, `signal=SIGKILL`, `retval=0`.
    pub(crate) fn inject(self, fault: &str) -> Self {
        let inject = format!("--inject={}:{fault}", self.calls);
        self.flag(&inject)
    }

    /// An option of strace's.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.args.push(flag.to_owned());
        self
    }

    /// Runs through another program.
    pub(crate) fn through(mut self, program: &[&'static str]) -> Self {
        self.before = program.to_vec();
        self
    }

    /// The size that the apply is asked for.
    pub(crate) fn size(mut self, size: &'static str) -> Self {
        self.size = size;
        self
    }

    /// The golden image that the apply clones.
    pub(crate) fn from(mut self, golden: &Path) -> Self {
        self.from = Some(golden.to_owned());
        self
    }

    /// Runs an apply; returns what it printed, and what strace saw.
    pub(crate) fn apply(&self, machine: &Machine) -> (Output, String) {
        self.run(machine, |command| _ = command.env("VAR_LIB_DOCKER_SIZE", self.size))
    }

    /// The same with more in its environment.
    pub(crate) fn run(&self, machine: &Machine, change: impl Fn(&mut Command)) -> (Output, String) {
        let log = machine.path("strace");
        let words = [&self.before[..], &["strace", "-o"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(&log).args(&self.args).arg(bin("dind-storage")).arg("apply");
        machine.environment(&mut command);
        command.env("VAR_LIB_DOCKER_SIZE", self.size);
        command.envs(self.from.iter().map(|path| ("DIND_STORAGE_IMAGE_FROM", path)));
        change(&mut command);
        let output = command.output().expect("strace is missing: run `cargo xtask test`");
        (output, fs::read_to_string(log).unwrap())
    }
}

/// Whether a fault has happened.
pub(crate) fn is_injected(log: &str) -> bool {
    log.contains("(INJECTED)") || log.contains("killed by SIGKILL")
}
