//! `wait`: blocks until the node is ready, or has failed or stopped.
//!
//! Events, not polls: the launcher replaces its record at each change, which inotify(7) reports, and its death is seen by a pidfd.
//! Without a launcher, the engine's socket and then its answer are waited for.

use super::health::ANSWER_LIMIT;
use super::lock;
use super::record::{self, NodeState, Record};
use crate::engine::readiness::Ping;
use crate::options::timeout;
use crate::paths::{RUN_DIR, SOCKET};
use crate::{fault, process};
use dind_contract::fault::ErrorObject;
use dind_contract::{Draft, Fault, Outcome};
use dind_system::Process;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::Pid;
use schemars::JsonSchema;
use serde::Serialize;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// What no event reports is looked at so often: a socket that is bound, but not listened at yet; a launcher in another PID
/// namespace; a kernel without inotify instances left.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a wait ended with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitEnd {
    /// A container can be started: the node runs, or an engine answers that somebody else has started.
    #[default]
    Ready,
    /// The node could not be started, its engine has died, or its launcher was killed.
    Failed,
    /// The node has stopped.
    Stopped,
    /// None of these within the timeout.
    TimedOut,
}

/// How a wait ended. Where the node is not ready, `error.details` has the same fields.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct WaitResult {
    /// What it ended with.
    pub outcome: WaitEnd,
    /// What the node is doing; nothing where neither a launcher nor an engine has been seen.
    pub state: Option<NodeState>,
    /// The stage that is under way.
    pub stage: Option<String>,
    /// How long the wait took, in milliseconds.
    pub waited_ms: u64,
    /// Why the node failed.
    pub error: Option<ErrorObject>,
    /// The status that the launcher ended with.
    pub exit_status: Option<u8>,
}

/// What there is to see at one moment.
#[derive(Debug, Default)]
struct Look {
    end: Option<WaitEnd>,
    record: Option<Record>,
    launcher: Option<Process>,
    /// An engine listens that no launcher of ours has started.
    ping: Option<Ping>,
}

/// Waits; without a timeout for as long as it takes.
///
/// # Errors
/// [`fault::NODE_ENDED`], [`fault::WAIT_TIMED_OUT`]; [`fault::DURATION_INVALID`]; those of reading the record.
pub fn wait(limit: Option<&String>) -> Outcome<WaitResult> {
    let limit = timeout(limit)?;
    let begun = Instant::now();
    let deadline = limit.map(|limit| begun + limit);
    let mut events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
    loop {
        // First the watches, then the look: what changes after it is reported.
        events.iter().for_each(watch);
        let mut look = look()?;
        if look.end.is_none() && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            look.end = Some(WaitEnd::TimedOut);
        }
        if let Some(end) = look.end {
            let result = result(end, look.record, begun.elapsed());
            return match fault(&result) {
                None => Ok(Draft { result, ..Draft::default() }),
                Some(fault) => Err(fault.details(&result).into()),
            };
        }
        let engine_answers = block(&mut events, &mut look, deadline)
            .map_err(|error| process::init_failed("cannot wait", &error))?;
        if engine_answers {
            let record = Record { state: NodeState::External, ..Record::default() };
            let result = result(WaitEnd::Ready, Some(record), begun.elapsed());
            return Ok(Draft { result, ..Draft::default() });
        }
    }
}

/// Watches the directories that exist by now. A second watch of a directory is the first one.
fn watch(events: &Inotify) {
    // The socket's access is set when it is listened at (moby, `NewUnixSocket`).
    let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
    let run = Path::new(SOCKET).parent();
    for directory in run.into_iter().chain([Path::new(RUN_DIR), Path::new("/run")]) {
        let _ = events.add_watch(directory, flags);
    }
}

fn look() -> Result<Look, Fault> {
    let holder = lock::holder()?;
    let record = match record::read() {
        Ok(record) => Some(record),
        Err(fault) if fault.code == fault::NOT_RUNNING => None,
        Err(fault) => return Err(fault),
    };
    if let Some(pid) = holder {
        let launcher = Process::open(pid).ok();
        // Until it has written its own, there may be the record of an earlier run. In another PID namespace it cannot be told.
        let is_its = |record: &Record| {
            launcher.as_ref().is_none_or(|launcher| launcher.started_ticks() == record.started_ticks)
        };
        let record = record.filter(is_its);
        let ready = record.as_ref().is_some_and(is_ready);
        return Ok(Look { end: ready.then_some(WaitEnd::Ready), record, launcher, ping: None });
    }
    // Somebody else's engine, as `status` has it, whatever a launcher has left.
    if Process::that_listens_at(Path::new(SOCKET)).is_ok() {
        return Ok(Look { ping: Ping::send(Path::new(SOCKET)).ok(), ..Look::default() });
    }
    let record = record.filter(is_of_this_life);
    let end = record.as_ref().map(|record| match record.state {
        NodeState::Stopped => WaitEnd::Stopped,
        // Where it has not ended by its own record, it was killed.
        _ => WaitEnd::Failed,
    });
    Ok(Look { end, record, ..Look::default() })
}

/// A daemon that is being started again is a stage.
fn is_ready(record: &Record) -> bool {
    record.state == NodeState::Running && record.stages.iter().all(|stage| stage.end_ms.is_some())
}

/// Whether the launcher of the record, which no longer runs, ran in this life of the container: since its PID 1 began.
fn is_of_this_life(record: &Record) -> bool {
    let Ok(first) = Process::open(Pid::from_raw(1)) else { return true };
    if record.pid == 1 {
        return record.started_ticks == first.started_ticks();
    }
    record.started_ticks >= first.started_ticks()
}

/// Blocks until something has changed. True: an engine without a launcher has answered.
fn block(events: &mut Option<Inotify>, look: &mut Look, deadline: Option<Instant>) -> io::Result<bool> {
    let death = look.launcher.as_ref().and_then(Process::end);
    let mut wake = deadline;
    if events.is_none() || death.is_none() {
        let soon = Instant::now() + LOOK_EVERY;
        wake = Some(wake.map_or(soon, |deadline| deadline.min(soon)));
    }
    let descriptors: Vec<BorrowedFd<'_>> =
        events.iter().map(AsFd::as_fd).chain(death).chain(look.ping.as_ref().map(Ping::as_fd)).collect();
    let mut polled: Vec<_> = descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    // One millisecond more: poll(2) rounds down, and would spin at the end.
    let left = wake.map(|wake| wake.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
    let left = left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
    match poll(&mut polled, left) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let answered = look.ping.is_some() && polled.last().is_some_and(|fd| fd.any() == Some(true));
    drop(polled);
    // They only wake us: what has changed is looked up.
    while events.as_mut().is_some_and(|events| events.read_events().is_ok_and(|read| !read.is_empty())) {}
    // The rest of an answer that has begun.
    Ok(answered && look.ping.as_mut().is_some_and(|ping| ping.wait(ANSWER_LIMIT) && ping.succeeded()))
}

fn result(end: WaitEnd, record: Option<Record>, waited: Duration) -> WaitResult {
    let waited_ms = waited.as_millis() as u64;
    let Some(record) = record else { return WaitResult { outcome: end, waited_ms, ..WaitResult::default() } };
    let stage = record.stages.into_iter().rfind(|stage| stage.end_ms.is_none()).map(|stage| stage.name);
    WaitResult {
        outcome: end,
        state: Some(record.state),
        stage,
        waited_ms,
        error: record.error,
        exit_status: record.exit_status,
    }
}

fn fault(result: &WaitResult) -> Option<Fault> {
    let what = "node is not ready";
    let fault = match result.outcome {
        WaitEnd::Ready => return None,
        WaitEnd::Stopped => {
            fault::NODE_ENDED.failed(what, "it has stopped").hint("start the container again")
        }
        WaitEnd::Failed => {
            let why = result.error.as_ref().map(|error| error.message.as_str());
            let fault = fault::NODE_ENDED
                .failed(what, format_args!("it has failed: {}", why.unwrap_or("its launcher was killed")));
            fault.hint("see its log, `docker logs NODE`, and the record, `dind-launch status`")
        }
        WaitEnd::TimedOut => {
            let doing = match (result.state, &result.stage) {
                (None, _) => "neither a launcher nor an engine runs".to_owned(),
                (Some(state), None) => format!("it is {}", state.name()),
                (Some(state), Some(stage)) => format!("it is {}, stage {stage}", state.name()),
            };
            let fault =
                fault::WAIT_TIMED_OUT.failed(what, format_args!("{doing} after {} ms", result.waited_ms));
            fault.hint("wait longer: --timeout 5m; `dind-launch status --timeline` shows what takes the time")
        }
    };
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::record::StageRecord;

    #[test]
    fn a_daemon_that_is_started_again_makes_the_node_wait() {
        let stage = |end_ms| StageRecord { name: "restart-dockerd".to_owned(), start_ms: 1, end_ms };
        let running = |stages| Record { state: NodeState::Running, stages, ..Record::default() };
        assert!(is_ready(&running(vec![stage(Some(2))])) && !is_ready(&running(vec![stage(None)])));
        assert!(!is_ready(&Record::default()));
    }

    #[test]
    fn the_record_of_an_earlier_life_does_not_count() {
        let first = Process::open(Pid::from_raw(1)).unwrap().started_ticks();
        let record = |pid, started_ticks| Record { pid, started_ticks, ..Record::default() };
        assert!(is_of_this_life(&record(1, first)) && !is_of_this_life(&record(1, first + 1)));
        assert!(is_of_this_life(&record(7, first + 1)));
        assert!(first == 0 || !is_of_this_life(&record(7, first - 1)));
    }

    #[test]
    fn each_end_has_its_own_words() {
        let of = |outcome, state| {
            let result = WaitResult { outcome, state, waited_ms: 7, ..WaitResult::default() };
            fault(&result).map(|fault| (fault.code, fault.message))
        };
        assert_eq!(of(WaitEnd::Ready, None), None);
        let (code, message) = of(WaitEnd::TimedOut, Some(NodeState::Starting)).unwrap();
        assert_eq!(
            (code, &*message),
            (fault::WAIT_TIMED_OUT, "node is not ready: it is starting after 7 ms")
        );
        assert_eq!(of(WaitEnd::Stopped, None).unwrap().0, fault::NODE_ENDED);
        let (code, message) = of(WaitEnd::Failed, Some(NodeState::Running)).unwrap();
        assert_eq!(
            (code, &*message),
            (fault::NODE_ENDED, "node is not ready: it has failed: its launcher was killed")
        );
    }
}
