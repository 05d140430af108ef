//! The forms in which `top` is printed where it is not on a terminal.

use clap::ValueEnum;

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line, one JSON object, once.
    Json,
    /// A table, once.
    Table,
}
