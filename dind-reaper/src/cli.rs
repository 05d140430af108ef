//! The command line. Values that users can get wrong stay text here; [`crate::options`] reads them.

use clap::{Args, Parser, Subcommand, ValueEnum};
use dind_contract::cli::{Machine, Printing};
use std::ffi::OsString;
use std::path::PathBuf;

/// Stops the inner containers when it is time.
#[derive(Debug, Parser)]
#[command(name = "dind-reaper", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The engine whose containers are meant.
#[derive(Args, Clone, Debug, Default)]
pub struct EngineArgs {
    /// The engine's socket; unix sockets only [default: unix:///var/run/docker.sock].
    #[arg(long, value_name = "URL", env = "DOCKER_HOST")]
    pub host: Option<String>,
    /// The engine's data root, where it writes down its containers [default: /var/lib/docker].
    #[arg(long, value_name = "DIR", env = "DIND_DATA_ROOT")]
    pub data_root: Option<String>,
}

/// How long a stop may take.
#[derive(Args, Clone, Debug, Default)]
pub struct Budget {
    /// How long the whole stop may take, kills included: 9s, 500ms, 1m30s [default: 9s].
    #[arg(long, value_name = "DURATION", env = "DIND_STOP_BUDGET", allow_hyphen_values = true)]
    pub budget: Option<String>,
}

/// A stop of all containers.
#[derive(Args, Clone, Debug)]
pub struct Stopping {
    /// Of which engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// How long it may take.
    #[command(flatten)]
    pub budget: Budget,
    /// What the stop is to restart policies.
    #[arg(long = "as", value_enum, default_value = "for-good")]
    pub meaning: Meaning,
}

/// What a stop is to the containers' restart policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Meaning {
    /// The containers are stopped for good, as by a user: no restart policy starts them again. The engine goes on.
    #[default]
    ForGood,
    /// The engine ends, too, as at a reboot of its host: the next start brings back what has a restart policy.
    Shutdown,
}

/// Where to write down what happens.
#[derive(Args, Clone, Debug)]
pub struct EvidenceArgs {
    /// Of which engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The directory; each run gets one of its own in it.
    #[arg(long, value_name = "DIR", env = "DIND_EVIDENCE")]
    pub dir: Option<String>,
    /// How much all files of a run may have: 64MiB, 1GiB [default: 256MiB].
    #[arg(long, value_name = "SIZE", env = "DIND_EVIDENCE_SIZE", allow_hyphen_values = true)]
    pub size: Option<String>,
    /// The name of the run's directory [default: the host name and the time].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The launcher's record, which is copied; one that does not exist is left out.
    #[arg(long, value_name = "FILE", default_value = "/run/dind/launch.json")]
    pub record: PathBuf,
    /// Copy the record only, into the directory of a run that has ended.
    #[arg(long)]
    pub record_only: bool,
}

/// When to take, and what not.
#[derive(Args, Clone, Debug)]
pub struct ReclaimArgs {
    /// Of which engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The share of the disk in use above which unused images and build cache go, in percent: 85%.
    #[arg(long, value_name = "PERCENT", env = "DIND_STORAGE_RECLAIM", allow_hyphen_values = true)]
    pub above: Option<String>,
    /// An image that stays, by its id; can be given more than once.
    #[arg(long, value_name = "ID")]
    pub keep: Vec<String>,
    /// Wait until there is something to take, take it, and end; a signal ends the wait.
    #[arg(long)]
    pub wait: bool,
    /// With `--wait`: it is known that nothing is left to take, so that need not be reported before there was something again.
    #[arg(long)]
    pub exhausted: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the containers that `stop` would stop, and the grace period of each; change nothing.
    Plan {
        /// The stop.
        #[command(flatten)]
        stopping: Stopping,
        /// Of which machine.
        #[command(flatten)]
        machine: Machine,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Stop all running containers in parallel, within the budget. A signal ends the grace period.
    Stop {
        /// The stop.
        #[command(flatten)]
        stopping: Stopping,
        /// Kill at once, without a grace period.
        #[arg(long)]
        now: bool,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Wait for TERM, INT or QUIT, then stop all running containers. A second signal ends the grace period.
    Watch {
        /// The stop.
        #[command(flatten)]
        stopping: Stopping,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Wait until no container runs any more, started meanwhile or not; stop none. A signal ends the wait.
    Drain {
        /// Of which engine.
        #[command(flatten)]
        engine: EngineArgs,
        /// Give up after this time, such as 30s or 5m, with exit status 75 [default: none].
        #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
        timeout: Option<String>,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Write down what happens in the containers, as it happens, until the engine ends: their logs and ends, the engine's events, and
    /// its log, if that is piped to us. A signal ends it at once, or, where the engine is ending or its log is piped, with that; a second
    /// signal does not wait.
    Evidence {
        /// What to write down, and where.
        #[command(flatten)]
        args: EvidenceArgs,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Remove unused images and build cache, oldest first, where the disk of the data root is fuller than it should be.
    Reclaim {
        /// What to remove.
        #[command(flatten)]
        args: ReclaimArgs,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Run a command as an init does, then stop all running containers. Prints no document: stdout is the command's.
    Exec(Exec),
}

/// A command, and the engine whose containers are stopped after it.
#[derive(Args, Clone, Debug)]
pub struct Exec {
    /// Of which engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// How long the stop may take.
    #[command(flatten)]
    pub budget: Budget,
    /// Process id of an engine that was started for the command: it is waited for first, ends with the command, as at a
    /// reboot of its host, and its own end is the command's.
    #[arg(long = "engine", value_name = "PID")]
    pub engine_pid: Option<i32>,
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
