//! The forms in which `doctor` is printed.

use clap::ValueEnum;
use std::io::{IsTerminal, stdout};

/// How `doctor` is printed on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line, one JSON object.
    Json,
    /// A table for people.
    Table,
    /// With `--run-flags`, the flags of `docker run` on one line, for `eval "docker run $(…) …"`.
    Flags,
}

impl Output {
    /// A table on a terminal, JSON elsewhere.
    #[must_use]
    pub fn by_default() -> Self {
        if stdout().is_terminal() { Self::Table } else { Self::Json }
    }
}
