//! `/run/dind/launch.json`: the record of what the running launcher has done, for `status`, health checks and people.

use super::lock::{self, Lock, unreadable, unusable};
use crate::engine::daemon::DaemonKind;
use crate::mesos::Agent;
use crate::paths::{RUN_DIR, SOCKET, containerd_socket, write_private};
use crate::process::sibling::{Document, Tools};
use crate::stage::Stage;
use crate::{TOOL, fault};
use dind_contract::fault::ErrorObject;
use dind_contract::finish::log;
use dind_contract::{Fault, Warning};
use dind_system::{Process, time_of_day};
use nix::unistd::Pid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

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
    /// The documents of the sibling tools, by stage.
    pub documents: BTreeMap<String, Document>,
    /// What a careful reader should know.
    pub warnings: Vec<Warning>,
    /// Why the node failed.
    pub error: Option<ErrorObject>,
    /// The status that the launcher ends with.
    pub exit_status: Option<u8>,
}

/// Writes the record. It holds the lock that makes the launcher the only one in its container.
#[derive(Debug)]
pub struct RecordWriter {
    /// What is written.
    pub record: Record,
    begun: Instant,
    /// Whether the last record could not be written.
    failed: bool,
    _lock: Lock,
}

impl RecordWriter {
    /// Claims [`RUN_DIR`] for this launcher and writes a first record. `begun` is the zero of all stages' times.
    ///
    /// # Errors
    /// [`fault::ALREADY_RUNNING`]: another launcher has it. [`fault::RECORD_UNUSABLE`]: it cannot be written.
    pub fn claim(
        begun: Instant,
        command: &[String],
        tools: &Tools,
        hold: Option<Hold>,
    ) -> Result<Self, Fault> {
        let lock = lock::take()?;
        let record = Record {
            started_unix_ms: time_of_day().as_millis() as u64,
            started_ticks: Process::open(Pid::this()).map_or(0, |own| own.started_ticks()),
            pid: std::process::id(),
            command: command.to_vec(),
            hold,
            socket: SOCKET.into(),
            containerd_socket: containerd_socket(),
            tools: Some(tools.clone()),
            ..Record::default()
        };
        let writer = Self { record, begun, failed: false, _lock: lock };
        writer.write()?;
        Ok(writer)
    }

    /// Begins a stage and writes the record; the one before it ends.
    pub fn begin(&mut self, stage: Stage) {
        let now = self.now_ms();
        self.end_stage(now);
        self.record.stages.push(StageRecord { name: stage.name().to_owned(), start_ms: now, end_ms: None });
        self.save();
    }

    /// Enters a state and writes the record; the present stage ends.
    pub fn enter(&mut self, state: NodeState) {
        let now = self.now_ms();
        self.end_stage(now);
        self.record.state = state;
        self.save();
    }

    /// Keeps a tool's document, and its warnings with it.
    pub fn keep(&mut self, stage: &str, document: Document) {
        self.record.warnings.extend(document.warnings.iter().cloned());
        self.record.documents.insert(stage.to_owned(), document);
    }

    /// Writes the record as it is.
    pub fn update(&mut self) {
        self.save();
    }

    /// Notes a daemon's pid.
    pub fn started(&mut self, kind: DaemonKind, pid: Pid) {
        *self.pid_of(kind) = Some(pid.as_raw());
    }

    /// Removes the pid of a daemon that has exited.
    pub fn exited(&mut self, kind: DaemonKind) {
        *self.pid_of(kind) = None;
    }

    fn pid_of(&mut self, kind: DaemonKind) -> &mut Option<i32> {
        match kind {
            DaemonKind::Dockerd => &mut self.record.engine_pid,
            DaemonKind::Containerd => &mut self.record.containerd_pid,
        }
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn end_stage(&mut self, now: u64) {
        if let Some(stage) = self.record.stages.last_mut() {
            stage.end_ms.get_or_insert(now);
        }
    }

    /// A record that cannot be written does not stop a node, and is logged once.
    fn save(&mut self) {
        let written = self.write();
        let failed_before = std::mem::replace(&mut self.failed, written.is_err());
        if let (Err(fault), false) = (written, failed_before) {
            log(TOOL, "warning", fault);
        }
    }

    /// Readers see the old record or the new one.
    fn write(&self) -> Result<(), Fault> {
        let path = path();
        let temporary = path.with_extension("tmp");
        let write = || -> io::Result<()> {
            write_private(&temporary, &serde_json::to_vec(&self.record)?)?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|error| unusable("write", &path, &error))
    }
}

fn path() -> PathBuf {
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
