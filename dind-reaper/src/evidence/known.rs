//! What is known of a container, and its log as far as it has come.

use super::place::{Log, Place, directory_of};
use bollard::models::{ContainerInspectResponse, EventMessage};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How far before its end, in bytes, a log file of the engine is read for what has not come over the API.
const REMAINS: u64 = 1 << 20;

/// The logging driver whose files can be read by others (docs.docker.com, "JSON File logging driver").
const JSON_FILE: &str = "json-file";

/// `state.json` of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct State {
    /// The full id.
    id: String,
    /// Its name.
    name: String,
    /// The image that it was made of, as the user wrote it.
    image: String,
    /// As Docker spells it; `removed` where the engine no longer knows the container.
    status: String,
    /// RFC 3339, as Docker has them.
    started_at: Option<String>,
    finished_at: Option<String>,
    /// Nothing while it runs, and where the engine has removed the container in its own shutdown.
    exit_code: Option<i64>,
    /// The kernel has killed one of its processes for want of memory.
    oom_killed: bool,
    /// Why it could not be started.
    error: Option<String>,
    restart_count: i64,
    /// Bytes of its log that are there, and of those that are not: more than the limit, or not written.
    log_bytes: u64,
    log_cut_bytes: u64,
    /// Why the log may not be whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_note: Option<String>,
}

/// A container.
#[derive(Debug)]
pub(super) struct Known {
    state: State,
    pub(super) place: Place,
    pub(super) directory: String,
    pub(super) log: Log,
    /// Of the last line that has come.
    last: String,
    at_line_start: bool,
    /// Lines up to this time have come before.
    resumed: String,
    skips: bool,
    log_path: Option<PathBuf>,
    /// The engine's file of its log, kept open: the engine removes those of `--rm` containers.
    log_file: Option<File>,
    state_bytes: u64,
    pub(super) running: bool,
}

impl Known {
    /// # Errors
    /// Its directory cannot be made.
    pub(super) fn new(containers: &Place, id: &str, name: &str, log_limit: u64) -> std::io::Result<Self> {
        let directory = directory_of(name, id);
        let state = State { id: id.to_owned(), name: name.to_owned(), ..State::default() };
        Ok(Self {
            place: containers.sub(&directory)?,
            directory,
            state,
            log: Log::new("log", log_limit),
            last: String::new(),
            at_line_start: true,
            resumed: String::new(),
            skips: false,
            log_path: None,
            log_file: None,
            state_bytes: 0,
            running: true,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.log.bytes() + self.state_bytes
    }

    /// Takes over an inspection.
    pub(super) fn inspected(&mut self, answer: ContainerInspectResponse) {
        let state = answer.state.unwrap_or_default();
        self.running = state.running == Some(true) || state.restarting == Some(true);
        self.state.status = state.status.map_or_else(String::new, |status| status.to_string());
        self.state.exit_code = state.exit_code.filter(|_| state.running != Some(true));
        self.state.started_at = date(state.started_at);
        self.state.finished_at = date(state.finished_at);
        self.state.oom_killed |= state.oom_killed == Some(true);
        self.state.error = state.error.filter(|error| !error.is_empty());
        self.state.restart_count = answer.restart_count.unwrap_or_default();
        self.state.image = answer.config.and_then(|config| config.image).unwrap_or_default();
        let driver = answer.host_config.and_then(|host| host.log_config).and_then(|log| log.typ);
        self.log_path = answer.log_path.filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(driver) = driver.filter(|driver| driver != JSON_FILE) {
            self.log_path = None;
            self.state.log_note =
                Some(format!("logging driver {driver}: what came while the engine stopped is not here"));
        }
    }

    /// Takes over an event: for a container that the engine removes when it ends, this is all that there is of its end.
    pub(super) fn event(&mut self, event: &EventMessage) {
        let attributes = event.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
        let attribute = |name| attributes.and_then(|attributes| attributes.get(name)).cloned();
        match event.action.as_deref() {
            Some("die") => {
                self.running = false;
                "exited".clone_into(&mut self.state.status);
                self.state.exit_code = attribute("exitCode").and_then(|text| text.parse().ok());
            }
            Some("oom") => self.state.oom_killed = true,
            Some("destroy") => {
                self.running = false;
                "removed".clone_into(&mut self.state.status);
            }
            Some("start") => self.running = true,
            _ => {}
        }
        if self.state.image.is_empty() {
            self.state.image = attribute("image").unwrap_or_default();
        }
    }

    /// The engine gave no log.
    pub(super) fn no_log(&mut self, why: &str) {
        self.state.log_note = Some(format!("no log: {why}"));
    }

    /// Its log comes from the beginning: what is there already is left out.
    pub(super) fn resume(&mut self) {
        self.resumed.clone_from(&self.last);
        (self.at_line_start, self.skips) = (true, false);
    }

    /// Takes over a piece of its log, in which each line begins with its time.
    pub(super) fn logged(&mut self, piece: &[u8]) {
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.at_line_start {
                let time =
                    line.split(|byte| *byte == b' ').next().and_then(|time| std::str::from_utf8(time).ok());
                let time = time.map(padded).unwrap_or_default();
                self.skips = time <= self.resumed;
                self.last = time.max(std::mem::take(&mut self.last));
            }
            self.at_line_start = line.ends_with(b"\n");
            if !self.skips {
                self.log.write(&self.place, line);
            }
        }
    }

    /// Keeps the engine's file of its log open, if that is not done: it may be removed before its end has come over the API.
    pub(super) fn keep_log_file(&mut self) {
        if self.running
            && self.log_file.is_none()
            && let Some(path) = &self.log_path
        {
            self.log_file = File::open(path).ok();
        }
    }

    /// The same, where the file has just appeared.
    pub(super) fn log_file_at(&mut self, path: &Path) {
        self.log_file = File::open(path).ok().or_else(|| self.log_file.take());
    }

    /// Reads from the engine's file what has not come over the API.
    pub(super) fn read_log_file(&mut self) {
        // It may have been started and have ended again before we looked.
        let open = || File::open(self.log_path.as_ref()?).ok();
        let Some(mut file) = self.log_file.take().or_else(open) else { return };
        self.state.log_note = None;
        if !self.last.is_empty() {
            let size = file.metadata().map_or(0, |data| data.len());
            let _ = file.seek(SeekFrom::Start(size.saturating_sub(REMAINS)));
        }
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        let from = self.last.clone();
        while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if let Some((time, text)) = entry(&line).filter(|(time, _)| padded(time) > from) {
                self.last = padded(&time).max(std::mem::take(&mut self.last));
                let text = format!("{time} {text}");
                self.log.write(&self.place, text.as_bytes());
            }
            line.clear();
        }
    }

    /// Takes over what the engine has written down at its end.
    pub(super) fn recorded(&mut self, data_root: &Path) {
        let state = crate::records::state(data_root, &self.state.id);
        if state.is_null() {
            if self.running {
                "removed".clone_into(&mut self.state.status);
            }
        } else {
            let text = |key: &str| date(state.get(key).and_then(Value::as_str).map(str::to_owned));
            let is_set = |key: &str| state.get(key) == Some(&Value::Bool(true));
            if !is_set("Running") {
                "exited".clone_into(&mut self.state.status);
                self.state.exit_code = state.get("ExitCode").and_then(Value::as_i64);
                self.state.finished_at = text("FinishedAt");
            }
            self.state.started_at = text("StartedAt");
            self.state.oom_killed |= is_set("OOMKilled");
        }
        self.running = false;
    }

    /// Writes `state.json`.
    pub(super) fn save(&mut self) {
        (self.state.log_bytes, self.state.log_cut_bytes) = (self.log.bytes(), self.log.cut);
        let mut text = serde_json::to_vec_pretty(&self.state).unwrap_or_default();
        text.push(b'\n');
        self.state_bytes = self.place.replace("state.json", &text, self.state_bytes);
    }
}

/// Docker's word for "never".
fn date(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty() && !text.starts_with("0001-"))
}

/// A line of a json-file log: its time, and its text with the newline.
fn entry(line: &[u8]) -> Option<(String, String)> {
    let mut entry: Value = serde_json::from_slice(line).ok()?;
    let mut text = |key| match entry.get_mut(key).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    Some((text("time")?, text("log")?))
}

/// A time of RFC 3339 in UTC with all nine digits of its fraction, so that texts compare as times do.
fn padded(time: &str) -> String {
    let (seconds, fraction) =
        time.trim_end_matches('Z').split_once('.').unwrap_or((time.trim_end_matches('Z'), ""));
    format!("{seconds}.{fraction:0<9}")
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
