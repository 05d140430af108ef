//! The flags that all tools share.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

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
    /// What to print on stdout.
    #[arg(long, value_enum, default_value = "json", env = "DIND_OUTPUT", global = true)]
    pub output: Output,
    /// Read the machine's facts below this directory instead of `/` (plan only).
    #[arg(long, value_name = "DIR", default_value = "/", env = "DIND_ROOT", global = true)]
    pub root: PathBuf,
}

/// An empty variable counts as unset: Compose files and CI systems pass `NAME=` for "not given".
#[must_use]
pub fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}
