//! `/run/dind/launch.json`: the record of what the running launcher has done, for `status`, health checks and people.

use crate::engine::daemon::DaemonKind;
use crate::mesos::Agent;
use crate::paths::RUN_DIR;
use crate::process::sibling::Document;
use crate::stage::Stage;
use crate::{TOOL, fault};
use dind_contract::fault::ErrorObject;
use dind_contract::finish::log;
use dind_contract::{Fault, Warning};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Pid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// What the node is doing.
    pub state: NodeState,
    /// When the launcher began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The launcher's pid.
    pub pid: u32,
    /// The pid of dockerd, while it runs.
    pub engine_pid: Option<i32>,
    /// The pid of containerd, while it runs.
    pub containerd_pid: Option<i32>,
    /// The pid of the main process, while it runs.
    pub main_pid: Option<i32>,
    /// The main process; empty where the engine is the service.
    pub command: Vec<String>,
    /// The engine's API.
    pub socket: PathBuf,
    /// The engine's version, as its API reports it.
    pub engine_version: Option<String>,
    /// How often dockerd or containerd was started again after its death.
    pub engine_restarts: u32,
    /// The settings that the engine was started with.
    pub daemon_json: Map<String, Value>,
    /// The variables that a Mesos agent gets; nothing for other main processes.
    pub mesos: Option<Agent>,
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
    _lock: Flock<File>,
}

impl RecordWriter {
    /// Claims [`RUN_DIR`] for this launcher and writes a first record. `begun` is the zero of all stages' times.
    ///
    /// # Errors
    /// [`fault::ALREADY_RUNNING`]: another launcher has it. [`fault::RECORD_UNUSABLE`]: it cannot be written.
    pub fn claim(begun: Instant, command: &[String], socket: &Path) -> Result<Self, Fault> {
        let lock = lock(Path::new(RUN_DIR))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            started_unix_ms: now.as_millis() as u64,
            pid: std::process::id(),
            command: command.to_vec(),
            socket: socket.to_owned(),
            ..Record::default()
        };
        let writer = Self { record, begun, _lock: lock };
        writer.save()?;
        Ok(writer)
    }

    /// Begins a stage; the one before it ends.
    pub fn begin(&mut self, stage: Stage) {
        let now = self.now_ms();
        self.end_stage(now);
        self.record.stages.push(StageRecord { name: stage.name().to_owned(), start_ms: now, end_ms: None });
    }

    /// Enters a state and writes the record; the present stage ends. A record that cannot be written does not stop a node.
    pub fn enter(&mut self, state: NodeState) {
        let now = self.now_ms();
        self.end_stage(now);
        self.record.state = state;
        if let Err(fault) = self.save() {
            log(TOOL, "warning", fault);
        }
    }

    /// Keeps a tool's document, and its warnings with it.
    pub fn keep(&mut self, stage: &str, document: Document) {
        self.record.warnings.extend(document.warnings.iter().cloned());
        self.record.documents.insert(stage.to_owned(), document);
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

    fn save(&self) -> Result<(), Fault> {
        let path = path();
        let temporary = path.with_extension("tmp");
        let write = || -> io::Result<()> {
            fs::write(&temporary, serde_json::to_vec(&self.record)?)?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|error| unusable("write", &path, &error))
    }
}

fn path() -> PathBuf {
    Path::new(RUN_DIR).join("launch.json")
}

/// Whether a launcher holds the lock of this container.
#[must_use]
pub fn launcher_runs() -> bool {
    matches!(lock(Path::new(RUN_DIR)), Err(fault) if fault.code == fault::ALREADY_RUNNING)
}

fn lock(directory: &Path) -> Result<Flock<File>, Fault> {
    let path = directory.join("launch.lock");
    let open = || -> io::Result<File> {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, Permissions::from_mode(0o755))?;
        OpenOptions::new().write(true).create(true).truncate(false).open(&path)
    };
    let file = open().map_err(|error| unusable("open", &path, &error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        let fault = fault::ALREADY_RUNNING.cannot(
            "lock",
            path.display(),
            "another dind-launch runs in this container",
        );
        fault.hint("a container can hold one node; start another container")
    })
}

/// Reads the record of this container's launcher.
///
/// # Errors
/// [`fault::NOT_RUNNING`]: there is none. [`fault::RECORD_UNUSABLE`]: it cannot be read or parsed.
pub fn read() -> Result<Record, Fault> {
    let path = path();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fault =
                fault::NOT_RUNNING.cannot("read", path.display(), "no dind-launch has run in this container");
            return Err(fault.hint("run it inside the node: docker exec NODE dind-launch status"));
        }
        Err(error) => return Err(unusable("read", &path, &error)),
    };
    serde_json::from_str(&text).map_err(|error| unusable("parse", &path, &error.into()))
}

fn unusable(verb: &str, path: &Path, error: &io::Error) -> Fault {
    fault::RECORD_UNUSABLE
        .cannot(verb, path.display(), error)
        .hint("/run/dind has to be a directory that root can write to")
}
