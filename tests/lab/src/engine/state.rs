//! The record of a running private engine, for later commands. A stale one is recognised by the start time.

use super::paths::Paths;
use crate::{Result, machine};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)).
    started: u64,
}

impl Process {
    /// The process that has this number now.
    pub(super) fn now(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, started: start_time(&stat)? })
    }

    /// Whether it still runs; a zombie does not.
    pub(super) fn is_alive(self) -> bool {
        let has_memory = fs::read(format!("/proc/{}/cmdline", self.pid)).is_ok_and(|line| !line.is_empty());
        has_memory && Self::now(self.pid) == Some(self)
    }

    fn to_json(self) -> Value {
        json!({"pid": self.pid, "started": self.started})
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self { pid: value["pid"].as_i64()?.try_into().ok()?, started: value["started"].as_u64()? })
    }
}

/// The name in field 2 may hold spaces and brackets: what counts starts after the last one.
fn start_time(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// What later commands must know.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// PID 1 of the engine's process namespace.
    pub(super) init: Process,
    /// The way out of its network namespace.
    pub(super) slirp: Process,
    /// The namespace, as `/proc/PID/ns/net` names it.
    pub(super) netns: String,
    /// Loop devices that were attached before.
    pub(super) loops: Vec<String>,
}

impl State {
    /// Observes a new engine.
    pub(super) fn observe(init: i32, slirp: i32) -> Result<Self> {
        let gone = || format!("process {init} or {slirp} of the engine has ended");
        Ok(Self {
            init: Process::now(init).ok_or_else(gone)?,
            slirp: Process::now(slirp).ok_or_else(gone)?,
            netns: fs::read_link(format!("/proc/{init}/ns/net"))?.display().to_string(),
            loops: machine::loop_devices().into_iter().map(|device| device.device).collect(),
        })
    }

    /// Writes the record.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let record = json!({
            "init": self.init.to_json(),
            "slirp": self.slirp.to_json(),
            "netns": self.netns,
            "loops": self.loops,
        });
        Ok(fs::write(path, format!("{record}\n"))?)
    }

    /// The last record, of whatever age.
    pub(super) fn load(paths: &Paths) -> Option<Self> {
        let record: Value = serde_json::from_slice(&fs::read(&paths.state).ok()?).ok()?;
        Some(Self {
            init: Process::from_json(&record["init"])?,
            slirp: Process::from_json(&record["slirp"])?,
            netns: record["netns"].as_str()?.to_owned(),
            loops: serde_json::from_value(record["loops"].clone()).ok()?,
        })
    }

    /// The record of an engine that still runs.
    pub(super) fn running(paths: &Paths) -> Option<Self> {
        Self::load(paths).filter(|state| state.init.is_alive())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 8 9";
        assert_eq!(super::start_time(stat), Some(4711));
    }
}
