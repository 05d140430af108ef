//! The loop of `evidence`: the engine's events and logs, its own log on our stdin, signals, and the space on its disk.

use super::EvidenceResult;
use super::containers::Containers;
use super::disk::Disk;
use super::engine_log::EngineLog;
use super::place::{Log, Place};
use super::source::{LogFiles, Message, closed, log_of};
use crate::TOOL;
use crate::engine::{Engine, RequestError};
use crate::options::Options;
use crate::signals::come;
use bollard::models::EventMessage;
use dind_contract::finish::log;
use dind_system::{Process, time_of_day};
use futures_util::future::{Either, select};
use futures_util::stream::{LocalBoxStream, SelectAll, StreamExt, once};
use nix::errno::Errno;
use serde_json::json;
use std::future::ready;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Between two looks at whether the engine is there.
const CONNECT_EVERY: Duration = Duration::from_millis(50);
/// How long an engine may take to describe a container.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long an engine that got the same signal as we did may take to remove its socket, which it does first of all.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

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
    engine_log: EngineLog,
    events: Log,
    /// Whether people know why a signal has not ended it.
    explained: bool,
    disk: Disk,
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
            engine_log: EngineLog::new(part),
            events: Log::new("events.jsonl", part),
            explained: false,
            disk: Disk::new(),
            begun: time_of_day(),
        }
    }

    /// Collects until the end, or a second signal. `signals` counts them.
    pub(super) async fn run(&mut self, signals: watch::Receiver<u32>) {
        let mut second = signals.clone();
        let collected =
            matches!(select(pin!(self.collect(signals)), pin!(come(&mut second, 2))).await, Either::Left(_));
        if !collected {
            self.containers.leave_engine();
            self.containers.engine_left();
        }
        self.save_record();
    }

    async fn collect(&mut self, mut signals: watch::Receiver<u32>) {
        self.engine_log.open();
        loop {
            self.save_record();
            let Some((engine, dockerd)) = self.connect(&signals).await else { break };
            self.follow(&engine, &mut signals).await;
            drop(engine);
            self.containers.leave_engine();
            if self.outlive(&dockerd, &signals).await {
                self.containers.engine_ended();
            } else {
                self.containers.engine_left();
                break;
            }
            if *signals.borrow() > 0 || !self.engine_log.is_open() {
                break;
            }
        }
    }

    /// What there is now, and the first error of a write.
    pub(super) fn finish(self) -> (EvidenceResult, Option<Errno>) {
        let (containers, removed, cut) = self.containers.counts();
        let result = EvidenceResult {
            directory: self.place.path.clone(),
            containers,
            removed,
            bytes: self.place.space.used(),
            cut_bytes: cut + self.engine_log.cut() + self.events.cut,
        };
        (result, self.place.space.failed.get())
    }

    /// Waits for an engine. Nothing where a signal comes first, or the engine's log ends; after a signal, that is all that is
    /// waited for.
    async fn connect(&mut self, signals: &watch::Receiver<u32>) -> Option<(Engine, Process)> {
        loop {
            let signalled = *signals.borrow() > 0;
            if self.engine_log.has_ended() || (signalled && !self.engine_log.is_open()) {
                return None;
            }
            if signalled {
                self.explain_wait();
            } else if let (Ok(dockerd), Ok(engine)) =
                (Process::that_listens_at(&self.socket), Engine::connect(&self.socket).await)
            {
                return Some((engine, dockerd));
            }
            self.engine_log.pass_on(&self.place, CONNECT_EVERY).await;
        }
    }

    /// Follows the engine until it closes its socket, or a signal comes.
    async fn follow(&mut self, engine: &Engine, signals: &mut watch::Receiver<u32>) {
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
            match self.next(&mut messages, signals).await {
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
                    let again = self.containers.end_log(&id);
                    // It may have been started again before this end was seen.
                    self.describe(engine, &id).await;
                    if again && self.containers.get(&id).is_some_and(|known| known.running) {
                        messages.extend(self.follow_log(engine, &id));
                    }
                    self.containers.note_end(&id);
                }
                Input::Engine(Message::Log(id, piece)) => {
                    let why = match piece {
                        Ok(piece) => {
                            self.containers.logged(&id, &piece);
                            None
                        }
                        Err(RequestError::NotFound) => {
                            Some("the engine had removed the container".to_owned())
                        }
                        Err(RequestError::Other(reason)) => Some(reason),
                    };
                    if let (Some(why), Some(known)) = (why, self.containers.get(&id)) {
                        known.no_log(&why);
                    }
                    self.containers.make_room();
                }
                Input::Stdin(bytes) => self.engine_log.write(&self.place, bytes),
                Input::Disk => {
                    let event = self.disk.look(&self.data_root);
                    event.iter().for_each(|event| self.note(event));
                }
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
        signals: &mut watch::Receiver<u32>,
    ) -> Input {
        let signal = pin!(come(signals, 1));
        let stdin = pin!(self.engine_log.read());
        let engine = pin!(messages.next());
        let disk = pin!(sleep_until(self.disk.due));
        match select(select(signal, engine), select(stdin, disk)).await {
            Either::Left((Either::Left(_), _)) => Input::Signal,
            Either::Left((Either::Right((message, _)), _)) => Input::Engine(message.unwrap_or(Message::Gone)),
            Either::Right((Either::Left((bytes, _)), _)) => Input::Stdin(bytes),
            Either::Right((Either::Right(_), _)) => Input::Disk,
        }
    }

    /// Waits for the end of the engine, which we no longer ask, and for the end of its log. Returns false where neither comes: after
    /// a signal, an engine is left that goes on, unless it pipes its log to us.
    async fn outlive(&mut self, dockerd: &Process, signals: &watch::Receiver<u32>) -> bool {
        let mut decided = None;
        while dockerd.is_running() && !self.engine_log.has_ended() {
            if *signals.borrow() > 0 {
                let decided = *decided.get_or_insert_with(|| Instant::now() + SAME_SIGNAL);
                if self.engine_log.is_piped() || !self.socket.exists() {
                    self.explain_wait();
                } else if Instant::now() >= decided {
                    return false;
                }
            }
            self.engine_log.pass_on(&self.place, CONNECT_EVERY).await;
        }
        self.engine_log.finish(&self.place).await;
        true
    }

    /// Once: people wonder why the first signal does not end it.
    fn explain_wait(&mut self) {
        if !std::mem::replace(&mut self.explained, true) {
            log(
                TOOL,
                "note",
                "what is left is written down until the engine ends; another signal ends this at once",
            );
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

    fn note(&mut self, event: &serde_json::Value) {
        self.events.write(&self.place, format!("{event}\n").as_bytes());
    }

    fn save_record(&mut self) {
        self.record_bytes = self.place.copy_record(&self.record, self.record_bytes);
    }
}
