//! Writes the record: claims the container for this launcher, and keeps what happens in it.

use super::lock::{self, Lock, unusable};
use super::record::{Hold, NodeState, ProgramRecord, Record, StageRecord, path};
use crate::TOOL;
use crate::engine::daemon::DaemonKind;
use crate::paths::{SOCKET, containerd_socket, write_private};
use crate::process::programs::ProgramTimes;
use crate::process::sibling::{Document, Tools};
use crate::stage::Stage;
use dind_contract::Fault;
use dind_contract::finish::log;
use dind_system::{Process, time_of_day};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::time::Instant;

/// Writes the record. It holds the lock that makes the launcher the only one in its container.
#[derive(Debug)]
pub struct RecordWriter {
    /// What is written.
    pub record: Record,
    begun: Instant,
    /// When each of the stages began.
    stages_begun: Vec<Instant>,
    /// Whether the last record could not be written.
    failed: bool,
    _lock: Lock,
}

impl RecordWriter {
    /// Claims [`crate::paths::RUN_DIR`] for this launcher and writes a first record. `begun` is the zero of all stages' times.
    ///
    /// # Errors
    /// [`crate::fault::ALREADY_RUNNING`]: another launcher has it. [`crate::fault::RECORD_UNUSABLE`]: it cannot be written.
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
        let writer = Self { record, begun, stages_begun: Vec::new(), failed: false, _lock: lock };
        writer.write()?;
        Ok(writer)
    }

    /// Begins a stage and writes the record; the one before it ends.
    pub fn begin(&mut self, stage: Stage) {
        let now = self.now_ms();
        self.end_stage(now);
        self.stages_begun.push(Instant::now());
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

    /// Keeps when the programs of the start ran.
    pub fn keep_programs(&mut self, programs: Vec<ProgramTimes>) {
        let ms = |at: Instant| at.saturating_duration_since(self.begun).as_millis() as u64;
        // By the stages' own moments: two that follow each other share a millisecond.
        let stage = |at: Instant| {
            let index = self.stages_begun.iter().rposition(|begun| *begun <= at)?;
            self.record.stages.get(index).map(|stage| stage.name.clone())
        };
        let records = programs.into_iter().map(|program| ProgramRecord {
            stage: stage(program.begun).unwrap_or_default(),
            start_ms: ms(program.begun),
            end_ms: program.ended.map(ms),
            name: program.name,
        });
        self.record.programs = records.collect();
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
