//! The command line. Values that users can get wrong stay text here; [`crate::options`] reads them.

use clap::{Parser, Subcommand};
use dind_contract::cli::Common;
use std::ffi::OsString;

/// Stops the inner containers when it is time.
#[derive(Debug, Parser)]
#[command(name = "dind-reaper", version, about)]
pub struct Cli {
    /// Shared by all tools.
    #[command(flatten)]
    pub common: Common,
    /// The engine's socket; unix sockets only [default: unix:///var/run/docker.sock].
    #[arg(long, value_name = "URL", env = "DOCKER_HOST", global = true)]
    pub host: Option<String>,
    /// How long the whole stop may take, kills included: 9s, 500ms, 1m30s [default: 9s].
    #[arg(
        long,
        value_name = "DURATION",
        env = "DIND_STOP_BUDGET",
        allow_hyphen_values = true,
        global = true
    )]
    pub budget: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the containers that `stop` would stop, and the grace period of each; change nothing.
    Plan,
    /// Stop all running containers in parallel, within the budget. A signal ends the grace period.
    Stop {
        /// Kill at once, without a grace period.
        #[arg(long)]
        now: bool,
    },
    /// Wait for TERM, INT or QUIT, then stop all running containers. A second signal ends the grace period.
    Watch,
    /// Run a command as an init does, then stop all running containers. Prints no document: stdout is the command's.
    Exec {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}
