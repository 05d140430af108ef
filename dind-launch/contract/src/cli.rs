//! The flags that all tools share.

use crate::fault::{Code, Fault};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// How the result is printed on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line, one JSON object.
    #[default]
    Json,
    /// The `engine.config` fragment as `dockerd` flags on one line, for `dockerd $(…)` in a shell script.
    Flags,
}

/// Flatten into a tool's arguments.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// What to print on stdout [default: json; on a terminal an error is printed as text alone].
    #[arg(long, value_enum, env = "DIND_OUTPUT", global = true)]
    pub output: Option<Output>,
    /// Read the machine's facts below this directory instead of `/` (plan only).
    #[arg(long, value_name = "DIR", default_value = "/", env = "DIND_ROOT", global = true)]
    pub root: PathBuf,
}

impl Common {
    /// Refuses `--root` for a verb that looks at this machine or changes it.
    ///
    /// # Errors
    /// `code`, where another root was given.
    pub fn refuse_root(&self, verb: &str, code: Code) -> Result<(), Fault> {
        if self.root == Path::new("/") {
            return Ok(());
        }
        let cause = "only a plan can be made for another machine";
        let fault = code.failed(format_args!("cannot {verb} below `{}`", self.root.display()), cause);
        Err(fault.hint("leave out --root, or unset DIND_ROOT; `plan --root` reads another machine"))
    }
}

/// An empty variable counts as unset: Compose files and CI systems pass `NAME=` for "not given".
#[must_use]
pub fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}
