//! What is to run in a guest.

use crate::Result;
use crate::outside;
use crate::toolchain::{STATIC, Toolchain};
use serde_json::Value;
use std::path::PathBuf;

/// A program of this workspace that guests can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A suite in `tests/tests`.
    Suite(&'static str),
    /// The benchmarks of guests.
    Bench,
    /// What suites run in containers, to get out of them.
    Attempts,
}

impl Program {
    /// Its name in the guest.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Suite(name) => name,
            Self::Bench => "dind-bench-guest",
            Self::Attempts => "dind-test-attempt",
        }
    }

    /// Cargo's command that makes it.
    fn build(self) -> Vec<&'static str> {
        match self {
            Self::Suite(name) => {
                let build = ["test", "--no-run", "--package", "dind-tests", "--test", name];
                [&build, outside::features(name)].concat()
            }
            Self::Bench => vec!["build", "--release", "--package", "dind-bench", "--bin", self.name()],
            Self::Attempts => vec!["build", "--package", "dind-tests", "--bin", self.name()],
        }
    }
}

/// One program's run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What runs.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, beside what describes the guest.
    pub env: Vec<(&'static str, String)>,
    /// Arguments for the guest's engine, which is started anew where it has run with others.
    pub engine: Vec<&'static str>,
}

impl Run {
    /// A suite's run with these arguments: filters, `--nocapture`. There is a test for each of the guest's processors at any time.
    #[must_use]
    pub fn of_suite(name: &'static str, args: &[String]) -> Self {
        let own = ["--color=never", "--test-threads=2"].map(str::to_owned);
        let args = own.into_iter().chain(args.iter().cloned()).collect();
        Self { program: Program::Suite(name), args, env: Vec::new(), engine: Vec::new() }
    }
}

/// Builds a program that needs neither the libraries nor the cargo of the machine it runs on; returns its path.
pub(super) fn build(toolchain: &Toolchain, program: Program) -> Result<PathBuf> {
    let how = ["--locked", "--message-format", "json-render-diagnostics"];
    let messages = toolchain.cargo(&[&program.build()[..], &how].concat()).env("RUSTFLAGS", STATIC).read()?;
    let name = program.name();
    executable(&messages, name).ok_or_else(|| format!("cargo built no program `{name}`").into())
}

/// Cargo names the file it has made in one of its messages.
fn executable(messages: &str, program: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut made = messages.filter(|message| message["target"]["name"] == program);
    made.find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::executable;
    use std::path::Path;

    #[test]
    fn the_program_is_found_among_cargo_s_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"nix"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"vm"},"executable":"/t/vm-1234"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "vm").as_deref(), Some(Path::new("/t/vm-1234")));
        assert_eq!(executable(messages, "nix"), None);
    }
}
