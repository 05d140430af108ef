//! `/run/dind/launch.json`: the record of what the running launcher has done, for `status`, health checks and people.

use super::lock::{unreadable, unusable};
use crate::fault;
use crate::mesos::Agent;
use crate::paths::RUN_DIR;
use crate::process::sibling::{Document, Tools};
use dind_contract::fault::ErrorObject;
use dind_contract::{Fault, Warning};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a node is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// The engine is being started.
    #[default]
    Starting,
    /// The main process runs; without one, the engine is ready.
    Running,
    /// The ordered stop runs.
    Stopping,
    /// It has stopped.
    Stopped,
    /// It could not be started, or its engine died.
    Failed,
    /// No launcher runs, but an engine does: somebody else, such as a shell script, has started it. No record says so; `status`
    /// finds it.
    External,
}

impl NodeState {
    /// Its name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::External => "external",
        }
    }

    /// Whether the launcher has ended, by its own record.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

/// What has become of a node that was started to wait for its main process (`run --hold`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// It can be claimed, once it is ready.
    Waiting,
    /// It has been.
    Claimed,
}

/// One stage of the start or the stop, in milliseconds since the launcher began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Stage")]
pub struct StageRecord {
    /// Its name, one of those that `plan` lists, or a stage of the stop.
    pub name: String,
    /// When it began.
    pub start_ms: u64,
    /// When it ended; nothing while it lasts.
    pub end_ms: Option<u64>,
}

/// When a program of the start ran, in milliseconds since the launcher began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Program")]
pub struct ProgramRecord {
    /// The base name of its file, and its verb if it has one.
    pub name: String,
    /// The stage in which it was started.
    pub stage: String,
    /// When it was started.
    pub start_ms: u64,
    /// When it exited; nothing where it still ran when the node was ready, as the engine does.
    pub end_ms: Option<u64>,
}

/// What was reclaimed of the data root's disk since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReclaimRecord {
    /// The share of the disk in use above which something goes, in percent.
    pub above_percent: u8,
    /// How often something went.
    pub rounds: u64,
    /// How many images went.
    pub images: u64,
    /// What is free again, in bytes.
    pub freed_bytes: u64,
    /// Whether nothing is left that could go, and the disk is still fuller than it should be.
    pub exhausted: bool,
}

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// What the node is doing.
    pub state: NodeState,
    /// When the launcher began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// When the launcher's process began, in clock ticks after boot (proc_pid_stat(5), `starttime`). With the pid it tells this
    /// launcher from that of an earlier run, which leaves its record.
    #[serde(default)]
    pub started_ticks: u64,
    /// The launcher's pid; 0 where somebody else has started the engine.
    pub pid: u32,
    /// The pid of dockerd, while it runs.
    pub engine_pid: Option<i32>,
    /// The pid of containerd, while it runs.
    pub containerd_pid: Option<i32>,
    /// The pid of the main process, while it runs.
    pub main_pid: Option<i32>,
    /// The main process; empty where the engine is the service.
    pub command: Vec<String>,
    /// Whether the node waits for a main process, or has got one by `claim`; nothing for other nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The engine's API.
    pub socket: PathBuf,
    /// containerd's API.
    pub containerd_socket: PathBuf,
    /// The sibling tools that the launcher uses; nothing where somebody else has started the engine.
    pub tools: Option<Tools>,
    /// The engine's version, as its API reports it.
    pub engine_version: Option<String>,
    /// How often dockerd or containerd was started again after its death.
    pub engine_restarts: u32,
    /// The settings that the engine was started with.
    pub daemon_json: Map<String, Value>,
    /// The variables that a Mesos agent gets; nothing for other main processes.
    pub mesos: Option<Agent>,
    /// What was reclaimed of the data root's disk; nothing where that is not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim: Option<ReclaimRecord>,
    /// Start and stop, stage by stage.
    pub stages: Vec<StageRecord>,
    /// The programs that the start has run, once it is over; the main process is none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramRecord>,
    /// The documents of the sibling tools, by stage.
    pub documents: BTreeMap<String, Document>,
    /// What a careful reader should know.
    pub warnings: Vec<Warning>,
    /// Why the node failed.
    pub error: Option<ErrorObject>,
    /// The status that the launcher ends with.
    pub exit_status: Option<u8>,
}

pub(super) fn path() -> PathBuf {
    Path::new(RUN_DIR).join("launch.json")
}

/// Reads the record of this container's launcher.
///
/// # Errors
/// [`fault::NOT_RUNNING`]: there is none. [`fault::NOT_ROOT`]: the caller may not read it. [`fault::RECORD_UNUSABLE`]: it cannot
/// be read or parsed.
pub fn read() -> Result<Record, Fault> {
    let path = path();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fault =
                fault::NOT_RUNNING.cannot("read", path.display(), "no dind-launch has run in this container");
            return Err(fault.hint("run it inside the node: docker exec NODE dind-launch status"));
        }
        Err(error) => return Err(unreadable(&path, &error)),
    };
    serde_json::from_str(&text).map_err(|error| unusable("parse", &path, &error.into()))
}
