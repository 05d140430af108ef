//! The command line. Values that users can get wrong stay text here; [`crate::options`] parses them.

mod tls;

use crate::forms::doctor::Output as DoctorOutput;
use crate::forms::status::Output as StatusOutput;
use crate::forms::top::Output as TopOutput;
use clap::{Args, Parser, Subcommand};
use dind_contract::cli::{Form, Forms, Machine, Printing, environment_root};
use std::path::PathBuf;
pub use tls::{Tls, TlsArgs, TlsVerb};

/// PID 1 of a container that is a Docker host.
#[derive(Debug, Parser)]
#[command(name = "dind-launch", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start the engine, run the command beside it, stop both in order. Prints no document: stdout belongs to the command.
    Run(Run),
    /// Print what `run` would do; change nothing.
    Plan(Plan),
    /// Print the record of the running launcher, or what is known of an engine that runs without one.
    Status(Status),
    /// Show what the inner containers use, against what the node may use.
    Top(Top),
    /// List everything that is missing in this container, each with the docker flag that fixes it.
    Doctor(Doctor),
    /// Prepare cgroups and mounts only, for entrypoints that are shell scripts.
    Prepare(Prepare),
    /// Block until the node is ready, or has failed or stopped; then print which.
    Wait(Timeout),
    /// Block until no inner container runs any more.
    Drain(Timeout),
    /// Read daemon.json anew in the running node, and have dockerd take it over.
    Reload(Printing),
    /// Load the image archives of a directory into the engine, unless it has their images.
    Preload(Preload),
    /// Run a command in the node: with DIND_USERNS=unshare, `docker exec` alone stays outside of it.
    Enter(Enter),
    /// Make a command the main process of a node that waits for one (`run --hold`), with this environment, working directory, terminal
    /// and streams; wait for its end.
    Claim(Enter),
    /// Make certificates for the engine's TCP socket and its clients, where docker:dind has them.
    Tls(Tls),
}

impl Verb {
    /// The machine that is meant: another one is for a plan or an examination only.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        match self {
            Self::Plan(Plan { machine, .. })
            | Self::Doctor(Doctor { machine, .. })
            | Self::Tls(Tls { verb: TlsVerb::Plan { machine, .. } }) => machine.root.clone(),
            _ => environment_root(),
        }
    }
}

/// How long to wait.
#[derive(Args, Debug)]
pub struct Timeout {
    /// Give up after this time, such as 30s or 5m, with exit status 75 [default: none].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub timeout: Option<String>,
    /// How it is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// What to prepare.
#[derive(Args, Debug)]
pub struct Prepare {
    /// What lies at /tmp, unless something is mounted there: `disk`, or `tmpfs:SIZE`, which takes memory [default: disk].
    #[arg(long, value_name = "PLACE", env = "DIND_TMP")]
    pub tmp: Option<String>,
    /// Where the engine will keep its data [default: /var/lib/docker].
    #[arg(long, value_name = "DIR", env = "DIND_DATA_ROOT")]
    pub data_root: Option<String>,
    /// How it is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// What to run in the node.
#[derive(Args, Debug)]
pub struct Enter {
    /// The command.
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND", allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Which archives to load.
#[derive(Args, Debug)]
pub struct Preload {
    /// The directory.
    #[arg(value_name = "DIR", env = "DIND_PRELOAD")]
    pub directory: PathBuf,
    /// How it is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// A node and its main process.
#[derive(Args, Debug)]
pub struct Run {
    /// How the node is run.
    #[command(flatten)]
    pub options: RunOptions,
    /// The main process. Without one: mesos-agent or mesos-slave, if on PATH; otherwise the engine is the service.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// What a run would do.
#[derive(Args, Debug)]
pub struct Plan {
    /// How the node would be run.
    #[command(flatten)]
    pub options: RunOptions,
    /// On which machine.
    #[command(flatten)]
    pub machine: Machine,
    /// How it is printed.
    #[command(flatten)]
    pub printing: Printing,
    /// The main process. Without one: mesos-agent or mesos-slave, if on PATH; otherwise the engine is the service.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// How the node is run.
#[derive(Args, Clone, Debug, Default)]
pub struct RunOptions {
    /// Directory of the sibling tools [default: beside this program, then PATH].
    #[arg(long, value_name = "DIR", env = "DIND_TOOLS")]
    pub tools: Option<PathBuf>,
    /// More flags for dockerd, as shell-style words; nothing is expanded.
    #[arg(long, value_name = "WORDS", env = "DOCKER_DAEMON_ARGS", allow_hyphen_values = true)]
    pub daemon_args: Option<String>,
    /// Where the engine's log goes: `stdio` is our stderr, `file` is /var/log/docker.log [default: stdio].
    #[arg(long, value_name = "WHERE", env = "LOG")]
    pub log: Option<String>,
    /// How long the engine may take to answer [default: 60s].
    #[arg(long, value_name = "DURATION", env = "DIND_READY_TIMEOUT")]
    pub ready_timeout: Option<String>,
    /// How long the whole stop may take; give `docker stop -t` at least a second more [default: 9s].
    #[arg(long, value_name = "DURATION", env = "DIND_STOP_BUDGET")]
    pub stop_budget: Option<String>,
    /// When dockerd or containerd dies: `no` ends the node, `on-failure:N` starts it again up to N times in a row [default: no].
    #[arg(long, value_name = "POLICY", env = "DIND_ENGINE_RESTART")]
    pub engine_restart: Option<String>,
    /// The signal that asks the main process to stop [default: the one that asked the node, or TERM].
    #[arg(long, value_name = "SIGNAL", env = "DIND_MAIN_STOP_SIGNAL")]
    pub main_stop_signal: Option<String>,
    /// A directory of image archives (`docker save`) to load into the engine.
    #[arg(long, value_name = "DIR", env = "DIND_PRELOAD")]
    pub preload: Option<String>,
    /// Whether the main process waits for the archives; if not, they are loaded beside it [default: true].
    #[arg(long, value_name = "BOOL", env = "DIND_PRELOAD_WAIT")]
    pub preload_wait: Option<String>,
    /// What lies at /tmp, unless something is mounted there: `disk`, or `tmpfs:SIZE`, which takes memory [default: disk].
    #[arg(long, value_name = "PLACE", env = "DIND_TMP")]
    pub tmp: Option<String>,
    /// A directory for evidence: what the inner containers print and how they end, the engine's log and events, the record.
    #[arg(long, value_name = "DIR", env = "DIND_EVIDENCE")]
    pub evidence: Option<String>,
    /// How much all evidence of a run may have: 64MiB, 1GiB [default: 256MiB].
    #[arg(long, value_name = "SIZE", env = "DIND_EVIDENCE_SIZE")]
    pub evidence_size: Option<String>,
    /// The share of the data root's disk in use above which unused images and build cache go, oldest first: 85% [default: they stay].
    #[arg(long, value_name = "PERCENT", env = "DIND_STORAGE_RECLAIM", allow_hyphen_values = true)]
    pub reclaim: Option<String>,
    /// Start everything, and wait for a main process that `dind-launch claim` brings [default: false].
    #[arg(long, value_name = "BOOL", env = "DIND_HOLD", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub hold: Option<String>,
    /// Programs to run between network and engine, by the contract of the tools: names on PATH or absolute paths, as shell-style words.
    #[arg(long, value_name = "PROGRAMS", env = "DIND_STAGES")]
    pub stages: Option<String>,
    /// Whether a Mesos agent gets defaults that fit its container [default: true].
    #[arg(long, value_name = "BOOL", env = "DIND_MESOS_DEFAULTS")]
    pub mesos_defaults: Option<String>,
    /// Who may reach the engine over TCP.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Whether a node in a user namespace may have block devices of the machine, which make that namespace no boundary
    /// [default: false].
    #[arg(long, value_name = "BOOL", env = "DIND_ALLOW_HOST_DEVICES")]
    pub allow_host_devices: Option<String>,
    /// Where the node's user namespace comes from: `keep` is what the engine gives the container; with `unshare` the launcher makes
    /// one, and needs no added capability [default: keep].
    #[arg(long, value_name = "SOURCE", env = "DIND_USERNS")]
    pub userns: Option<String>,
    /// Whether that is done; of the launcher in those namespaces.
    #[arg(long, hide = true)]
    pub unshared: bool,
}

/// What to report about the running node.
#[derive(Args, Debug)]
pub struct Status {
    /// Exit with 69 unless a container could be started now: the node is up, dockerd and containerd answer, the data root can be
    /// written to and has met no errors, and the main process runs.
    #[arg(long)]
    pub healthy: bool,
    /// Draw the start as a bar chart on stderr.
    #[arg(long)]
    pub timeline: bool,
    /// What to print on stdout [default: auto].
    #[arg(long, value_name = "FORM", env = "DIND_OUTPUT", value_parser = Forms::<StatusOutput>::default())]
    pub output: Option<Form<StatusOutput>>,
    /// Put a form for other programs, `openmetrics` or `svg`, into this file, in the place of the old one at once.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// How to show what containers use.
#[derive(Args, Debug)]
pub struct Top {
    /// The time between two tables, or between the two looks for a single one, such as 500ms or 5s [default: 2s; 1s for a single one].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub interval: Option<String>,
    /// Print one document or one table [default: on a terminal, tables until it is ended; elsewhere one table].
    #[arg(long, value_name = "FORM", env = "DIND_OUTPUT", value_parser = Forms::<TopOutput>::default())]
    pub output: Option<Form<TopOutput>>,
}

/// What to report about the container, or about the machine.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Print the flags of `docker run` that a node needs, and the seccomp profile that they name. Works outside of any
    /// container, too.
    #[arg(long, value_name = "BOOL", env = "DIND_RUN_FLAGS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub run_flags: Option<String>,
    /// The file that holds the seccomp profile, as `docker run` will see it [default: seccomp.json].
    #[arg(long, value_name = "FILE", env = "DIND_SECCOMP")]
    pub seccomp: Option<String>,
    /// With `--run-flags`, what they are for: `docker`, `podman` or `kubernetes` [default: docker].
    #[arg(long = "for", value_name = "ENGINE", env = "DIND_RUN_FLAGS_FOR")]
    pub engine: Option<String>,
    /// Whether a node in a user namespace may have block devices of the machine [default: false].
    #[arg(long, value_name = "BOOL", env = "DIND_ALLOW_HOST_DEVICES")]
    pub allow_host_devices: Option<String>,
    /// Of which machine.
    #[command(flatten)]
    pub machine: Machine,
    /// What to print on stdout [default: a table on a terminal, json elsewhere].
    #[arg(long, value_name = "FORM", env = "DIND_OUTPUT", value_parser = Forms::<DoctorOutput>::default())]
    pub output: Option<Form<DoctorOutput>>,
}
