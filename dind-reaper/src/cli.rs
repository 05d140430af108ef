//! The command line. Values that users can get wrong stay text here; [`crate::options`] reads them.

use clap::{Args, Parser, Subcommand};
use dind_contract::cli::Common;
use std::ffi::OsString;

/// Stops the inner containers when it is time.
#[derive(Debug, Parser)]
#[command(name = "dind-reaper", version, about)]
pub struct Cli {
    /// Shared by all tools.
    #[command(flatten)]
    pub common: Common,
    /// What is wanted.
    #[command(flatten)]
    pub wanted: Wanted,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What is wanted, as text.
#[derive(Args, Clone, Debug, Default)]
pub struct Wanted {
    /// The engine's socket; unix sockets only [default: unix:///var/run/docker.sock].
    #[arg(long, value_name = "URL", env = "DOCKER_HOST", global = true)]
    pub host: Option<String>,
    /// How long the whole stop may take, kill included: 9s, 500ms, 1m30s [default: 9s].
    #[arg(
        long,
        value_name = "DURATION",
        env = "DIND_STOP_BUDGET",
        allow_hyphen_values = true,
        global = true
    )]
    pub budget: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Say which containers `stop` would stop, and how long each would get; change nothing.
    Plan,
    /// Stop all running containers in parallel, within the budget. A signal skips the grace.
    Stop(Stop),
    /// Wait for TERM, INT or QUIT, then stop. A second signal skips the grace.
    Watch,
    /// Run a command as an init does, and stop the containers when it ends. Prints no document: stdout is the command's.
    Exec(Exec),
}

/// How to stop.
#[derive(Args, Debug)]
pub struct Stop {
    /// Kill at once: the grace is skipped from the start.
    #[arg(long)]
    pub now: bool,
}

/// What to run.
#[derive(Args, Debug)]
pub struct Exec {
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
