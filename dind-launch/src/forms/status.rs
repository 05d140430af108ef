//! The forms in which `status` is printed.

use clap::ValueEnum;
use std::io::{IsTerminal, stdout};

/// How `status` is printed on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One line, one JSON object.
    Json,
    /// A table for people.
    Table,
    /// Figures for collectors, in the text format of OpenMetrics 1.0.
    Openmetrics,
    /// The start as a picture.
    Svg,
}

impl Output {
    /// The form that `auto` means here.
    #[must_use]
    pub fn here(self) -> Self {
        match self {
            Self::Auto if stdout().is_terminal() => Self::Table,
            Self::Auto => Self::Json,
            other => other,
        }
    }
}
