//! The loop of `evidence`: the engine's events and logs, its own log on our stdin, signals, and the space on its disk.

use super::EvidenceResult;
use super::containers::Containers;
use super::place::{Log, Place};
use super::source::{LogFiles, Message, closed, log_of, read};
use crate::engine::{Engine, RequestError};
use crate::options::Options;
use bollard::models::EventMessage;
use dind_system::{Process, time_of_day};
use futures_util::future::{Either, select};
use futures_util::stream::{LocalBoxStream, SelectAll, StreamExt, once};
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use serde_json::json;
use std::future::ready;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Between two looks at whether the engine is there, and at its disk.
const CONNECT_EVERY: Duration = Duration::from_millis(50);
const DISK_EVERY: Duration = Duration::from_secs(5);
/// How long an engine may take to describe a container.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long the pipe of an engine that has ended is read: a shim may hold it open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Of a file system less than this share free is an event: 1/n.
const LOW: [u64; 2] = [10, 100];

/// What has come, from wherever.
enum Input {
    Engine(Message),
    /// The engine's log; nothing at its end.
    Stdin(Option<Vec<u8>>),
    Signal,
    Disk,
}

pub(super) struct Collector {
    place: Place,
    containers: Containers,
    socket: PathBuf,
    data_root: PathBuf,
    record: PathBuf,
    record_bytes: u64,
    log_files: Option<Rc<LogFiles>>,
    engine_log: Log,
    events: Log,
    stdin: Option<pipe::Receiver>,
    low: usize,
    disk_due: Instant,
    begun: Duration,
}

impl Collector {
    pub(super) fn new(place: Place, options: &Options, record: PathBuf, size: u64) -> Self {
        let part = size / 16;
        Self {
            containers: Containers::new(place.sub("containers").ok(), options.data_root.clone(), part),
            place,
            socket: options.socket.clone(),
            data_root: options.data_root.clone(),
            record,
            record_bytes: 0,
            log_files: LogFiles::new().ok().map(Rc::new),
            engine_log: Log::new("engine.log", part),
            events: Log::new("events.jsonl", part),
            stdin: None,
            low: 0,
            disk_due: Instant::now(),
            begun: time_of_day(),
        }
    }

    /// Collects until the end.
    pub(super) async fn run(&mut self, mut interrupted: watch::Receiver<bool>) {
        // What is no pipe, such as /dev/null, has no engine's log.
        self.stdin = io::stdin().as_fd().try_clone_to_owned().and_then(pipe::Receiver::from_owned_fd).ok();
        let had_stdin = self.stdin.is_some();
        loop {
            self.save_record();
            let Some((engine, dockerd)) = self.connect(&mut interrupted, had_stdin).await else { break };
            self.follow(&engine, &mut interrupted).await;
            drop(engine);
            self.containers.leave_engine();
            self.outlive(&dockerd, had_stdin).await;
            self.containers.engine_ended();
            if *interrupted.borrow() || self.stdin.is_none() {
                break;
            }
        }
        self.save_record();
    }

    /// What there is now, and the first error of a write.
    pub(super) fn finish(self) -> (EvidenceResult, Option<Errno>) {
        let (containers, removed, cut) = self.containers.counts();
        let result = EvidenceResult {
            directory: self.place.path.clone(),
            containers,
            removed,
            bytes: self.place.space.used(),
            cut_bytes: cut + self.engine_log.cut + self.events.cut,
        };
        (result, self.place.space.failed.get())
    }

    /// Waits for an engine. Nothing where a signal comes first, or the engine's log ends.
    async fn connect(
        &mut self,
        interrupted: &mut watch::Receiver<bool>,
        had_stdin: bool,
    ) -> Option<(Engine, Process)> {
        loop {
            if *interrupted.borrow() || (had_stdin && self.stdin.is_none()) {
                return None;
            }
            if let (Ok(dockerd), Ok(engine)) =
                (Process::that_listens_at(&self.socket), Engine::connect(&self.socket).await)
            {
                return Some((engine, dockerd));
            }
            if let Ok(bytes) = timeout(CONNECT_EVERY, read(&mut self.stdin)).await {
                self.engine_said(bytes);
            }
        }
    }

    /// Follows the engine until it closes its socket, or a signal comes.
    async fn follow(&mut self, engine: &Engine, interrupted: &mut watch::Receiver<bool>) {
        let mut messages: SelectAll<LocalBoxStream<'_, Message>> = SelectAll::new();
        let gone = || once(ready(Message::Gone));
        messages.push(engine.history(self.begun, &[]).map(Message::Event).chain(gone()).boxed_local());
        messages.push(once(closed(self.socket.clone())).map(|()| Message::Gone).boxed_local());
        messages.extend(self.log_files.as_ref().map(|files| files.clone().appear(self.data_root.clone())));
        for one in engine.list().await.unwrap_or_default() {
            self.containers.meet(&one.id, &one.name);
            self.describe(engine, &one.id).await;
            messages.extend(self.follow_log(engine, &one.id));
        }
        loop {
            match self.next(&mut messages, interrupted).await {
                Input::Signal | Input::Engine(Message::Gone) => return,
                Input::Engine(Message::Event(event)) => {
                    if let Some(id) = self.event(engine, &event).await {
                        messages.extend(self.follow_log(engine, &id));
                    }
                }
                Input::Engine(Message::LogFile(path, id)) => {
                    if let Some(known) = self.containers.get(&id) {
                        known.log_file_at(&path);
                    }
                }
                Input::Engine(Message::LogEnd(id)) => {
                    self.containers.end_log(&id);
                    // It may have been started again before this end was seen.
                    self.describe(engine, &id).await;
                    if self.containers.get(&id).is_some_and(|known| known.running) {
                        messages.extend(self.follow_log(engine, &id));
                    }
                    self.containers.note_end(&id);
                }
                Input::Engine(Message::Log(id, piece)) => {
                    let Some(known) = self.containers.get(&id) else { continue };
                    match piece {
                        Ok(piece) => known.logged(&piece),
                        Err(RequestError::NotFound) => known.no_log("the engine had removed the container"),
                        Err(RequestError::Other(reason)) => known.no_log(&reason),
                    }
                    self.containers.make_room();
                }
                Input::Stdin(bytes) => self.engine_said(bytes),
                Input::Disk => self.look_at_disk(),
            }
        }
    }

    /// The log of a container, from where it was left; nothing while it is followed already.
    fn follow_log(&mut self, engine: &Engine, id: &str) -> Option<LocalBoxStream<'static, Message>> {
        self.containers.begin_log(id).then(|| log_of(engine, id, self.begun))
    }

    async fn next(
        &mut self,
        messages: &mut SelectAll<LocalBoxStream<'_, Message>>,
        interrupted: &mut watch::Receiver<bool>,
    ) -> Input {
        let signal = pin!(async { drop(interrupted.wait_for(|set| *set).await) });
        let stdin = pin!(read(&mut self.stdin));
        let engine = pin!(messages.next());
        let disk = pin!(sleep_until(self.disk_due));
        match select(select(signal, engine), select(stdin, disk)).await {
            Either::Left((Either::Left(_), _)) => Input::Signal,
            Either::Left((Either::Right((message, _)), _)) => Input::Engine(message.unwrap_or(Message::Gone)),
            Either::Right((Either::Left((bytes, _)), _)) => Input::Stdin(bytes),
            Either::Right((Either::Right(_), _)) => Input::Disk,
        }
    }

    /// Waits for the end of the engine, which we no longer ask, and for the end of its log.
    async fn outlive(&mut self, dockerd: &Process, had_stdin: bool) {
        while dockerd.is_running() && (!had_stdin || self.stdin.is_some()) {
            if let Ok(bytes) = timeout(CONNECT_EVERY, read(&mut self.stdin)).await {
                self.engine_said(bytes);
            }
        }
        while self.stdin.is_some() {
            match timeout(LAST_WORDS, read(&mut self.stdin)).await {
                Ok(bytes) => self.engine_said(bytes),
                Err(_) => return,
            }
        }
    }

    fn engine_said(&mut self, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => self.engine_log.write(&self.place, &bytes),
            None => self.stdin = None,
        }
    }

    /// Writes an event down. Returns the container whose log is to be followed.
    async fn event(&mut self, engine: &Engine, event: &EventMessage) -> Option<String> {
        let action = event.action.as_deref().unwrap_or_default();
        // Health checks, which are execs, would fill the file.
        if action.starts_with("exec_") {
            return None;
        }
        let actor = event.actor.as_ref()?;
        let id = actor.id.clone()?;
        let name = actor.attributes.as_ref().and_then(|all| all.get("name")).cloned().unwrap_or_default();
        let exit_code = actor.attributes.as_ref().and_then(|all| all.get("exitCode"));
        self.note(&json!({"time_nano": event.time_nano, "container": name, "id": id, "action": action, "exit_code": exit_code}));
        if action == "create" {
            // Its log file appears when it starts, and may be removed within milliseconds.
            self.log_files.iter().for_each(|files| files.watch(&self.data_root, &id));
        }
        if matches!(action, "create" | "start") {
            self.containers.meet(&id, &name);
        }
        self.containers.get(&id)?.event(event);
        if matches!(action, "start" | "die" | "oom") {
            self.describe(engine, &id).await;
        }
        match action {
            "die" | "destroy" => self.containers.note_end(&id),
            _ => self.containers.get(&id)?.save(),
        }
        self.save_record();
        self.containers.make_room();
        (action == "start").then_some(id)
    }

    async fn describe(&mut self, engine: &Engine, id: &str) {
        let answer = timeout(ANSWER_LIMIT, engine.describe(id)).await;
        if let (Ok(Ok(answer)), Some(known)) = (answer, self.containers.get(id)) {
            known.inspected(answer);
            known.keep_log_file();
            known.save();
        }
    }

    fn look_at_disk(&mut self) {
        self.disk_due = Instant::now() + DISK_EVERY;
        let Ok(disk) = statvfs(&self.data_root) else { return };
        let low = LOW.iter().filter(|share| disk.blocks_available() < disk.blocks() / *share).count();
        if low != self.low {
            let bytes = |blocks: u64| blocks * disk.fragment_size();
            let action = if low > self.low { "disk-low" } else { "disk-freed" };
            let (free, size) = (bytes(disk.blocks_available()), bytes(disk.blocks()));
            self.note(&json!({"time_nano": time_of_day().as_nanos() as u64, "action": action, "free": free, "size": size}));
            self.low = low;
        }
    }

    fn note(&mut self, event: &serde_json::Value) {
        self.events.write(&self.place, format!("{event}\n").as_bytes());
    }

    fn save_record(&mut self) {
        self.record_bytes = copy_record(&self.place, &self.record, self.record_bytes);
    }
}

/// Copies the launcher's record, if there is one. Returns its length, given that of the last copy.
pub(super) fn copy_record(place: &Place, record: &Path, old: u64) -> u64 {
    std::fs::read(record).map_or(old, |text| place.replace("record.json", &text, old))
}
