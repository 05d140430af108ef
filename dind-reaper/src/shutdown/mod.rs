//! The end of the engine, as at a reboot of its host: containers have their stop signal and their grace period, the engine
//! writes down how each ended, and restart policies stay as they are.
//!
//! ```text
//! containerd held | dockerd TERM | every container its stop signal | ... kills ... | containerd released | dockerd ends
//! ```
//!
//! dockerd keeps the policies only of containers that end while it shuts down: a stop over its API is a user's stop, for good
//! (moby, `killWithSignal`: `HasBeenManuallyStopped`). So it gets its TERM first. It would then ask the containers itself,
//! each by a runc, which takes seconds where they are many or the processors busy; a container that was asked by us, too,
//! would get its signal twice. `hold` keeps these requests waiting until they find nobody, and keeps the ends from dockerd
//! until it no longer starts anything again. So no part of this needs an engine that answers: each container is asked, waited
//! for and killed by its process.

mod freezer;
mod hold;
mod links;

use crate::container::Container;
use crate::options::Options;
use crate::plan::{StopContainer, StopEngine, shutdown_grace};
use crate::records;
use crate::report::{EngineEnd, StopOutcome, StopResult, StoppedContainer, millis};
use crate::tasks::{self, Task};
use crate::{fault, signals};
use dind_contract::step::Step;
use dind_contract::{Draft, Failed, Fault, Outcome, StepState, Steps};
use dind_system::Process;
use dind_system::supervisor::{Event, Supervisor};
use freezer::Freezers;
use hold::Hold;
use links::Namespaces;
use nix::libc::{SIGKILL, SIGTERM};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks at what no event reports.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a dockerd that has lost its containerd may take to start another one and to learn of the ends.
const CONTAINERD_RESTART: Duration = Duration::from_secs(3);
/// Kept back of the budget for each container, to read and to report how it ended: all processors are busy by then. Of a small
/// budget it is at most a sixteenth.
const REPORT_EACH: Duration = Duration::from_millis(3);
/// How long an engine finishes the requests under way before it shuts down (moby, cmd/dockerd: 5 s for `apiShutdown`).
const REQUESTS_TIMEOUT: Duration = Duration::from_millis(5500);

/// Ends the engine and its containers. With `now` there is no grace period.
///
/// # Errors
/// Containers or the engine still run when the budget is spent; how each container ended is in `error.details`.
pub fn run(options: Options, mut supervisor: Supervisor, begun: Instant, now: bool) -> Outcome<StopResult> {
    let dockerd =
        Process::that_listens_at(&options.socket).ok().filter(|process| process.name() == "dockerd");
    let (running, stopped, namespaces) = Default::default();
    let mut shutdown = Shutdown { options: &options, begun, now, running, stopped, namespaces };
    let hold = shutdown.ask(dockerd.as_ref());
    shutdown.wait_for_containers(&mut supervisor);
    if shutdown.running.is_empty() {
        std::mem::take(&mut shutdown.namespaces).disconnect();
    }
    let engine = dockerd.map(|dockerd| shutdown.wait_for_engine(&dockerd, hold));
    let Shutdown { running, mut stopped, .. } = shutdown;
    for one in &mut stopped {
        one.exit_code = records::exit_code(&options.data_root, &one.id);
    }
    let steps = steps(&stopped, engine.as_ref(), &options.socket);
    let left: Vec<_> = running.into_iter().map(|one| one.container.name).collect();
    let result = StopResult { budget_ms: millis(options.budget), stopped, left, engine };
    match unfinished(&options, &result) {
        Some(fault) => Err(Failed { fault: Box::new(fault.details(&result)), steps }),
        None => Ok(Draft { result, steps, warnings: options.warnings, ..Draft::default() }),
    }
}

fn steps(stopped: &[StoppedContainer], engine: Option<&EngineEnd>, socket: &Path) -> Steps {
    let mut steps = Steps::default();
    for one in stopped {
        let step = StopContainer { name: &one.name };
        steps.push(step.op(), step.target(), StepState::Done);
    }
    if engine.is_some_and(|engine| engine.ended) {
        let step = StopEngine { socket };
        steps.push(step.op(), step.target(), StepState::Done);
    }
    steps
}

/// What is left is an error, for nobody else reports it.
fn unfinished(options: &Options, result: &StopResult) -> Option<Fault> {
    let spent = format!("the budget of {}ms is spent", result.budget_ms);
    if !result.left.is_empty() {
        let names: Vec<_> = result.left.iter().map(|name| format!("`{name}`")).collect();
        let fault = fault::CONTAINERS_LEFT.failed(format!("cannot stop {}", names.join(", ")), spent);
        return Some(fault.hint("look at the kernel's log: a killed process that stays waits for a device"));
    }
    let engine = result.engine.as_ref().filter(|engine| !engine.ended)?;
    let (cause, hint) = match engine {
        EngineEnd { hangs: true, .. } => (
            "a signal has stopped dockerd".to_owned(),
            "its containers have ended; find out who sent SIGSTOP",
        ),
        EngineEnd { lost_containerd: true, .. } => (
            "containerd has died, so dockerd cannot learn how its containers ended".to_owned(),
            "its containers have ended; containerd's last lines say why it died",
        ),
        _ => (
            format!("{spent} before it had cleaned up after its containers"),
            "raise DIND_STOP_BUDGET, and `docker stop -t` with it",
        ),
    };
    let what = format!("the engine at `unix://{}` has not ended", options.socket.display());
    Some(fault::ENGINE_LEFT.failed(what, cause).hint(hint))
}

/// A container that has been asked.
struct Asked {
    task: Task,
    container: Container,
    asked: Instant,
    killed: bool,
}

struct Shutdown<'a> {
    options: &'a Options,
    begun: Instant,
    now: bool,
    running: Vec<Asked>,
    stopped: Vec<StoppedContainer>,
    namespaces: Namespaces,
}

impl Shutdown<'_> {
    /// Gives every container its stop signal, once.
    fn ask(&mut self, dockerd: Option<&Process>) -> Hold {
        let mut tasks = tasks::running(&self.options.data_root);
        // Without dockerd nobody asks a second time, and nobody starts anything again.
        let hold = if dockerd.is_some() { Hold::of(&tasks) } else { Hold::default() };
        // What has started in the meantime; with containerd held there is no more.
        tasks.append(&mut tasks::running(&self.options.data_root));
        if let Some(dockerd) = dockerd {
            // One, and no more: dockerd takes a third for the order to leave everything as it is.
            let _ = dockerd.signal(SIGTERM);
        }
        // Each is read before any is asked: the disk may be slow.
        let containers: Vec<_> =
            tasks.keys().map(|id| records::container(&self.options.data_root, id)).collect();
        tasks.values().for_each(|task| self.namespaces.keep(&task.init));
        let freezers = Freezers::find();
        for (task, container) in tasks.into_values().zip(containers) {
            let signal = if self.now { SIGKILL } else { container.signal() };
            let _ = task.init.signal(signal);
            freezers.thaw(&task.init);
            self.running.push(Asked { task, container, asked: Instant::now(), killed: self.now });
        }
        hold
    }

    /// Waits until all containers have ended, and kills each at the end of its grace period. A signal to us ends all of them.
    fn wait_for_containers(&mut self, supervisor: &mut Supervisor) {
        let deadline = self.begun + self.options.budget;
        loop {
            self.note_ends();
            if self.running.is_empty() || Instant::now() >= deadline {
                return;
            }
            let wake = self.kill_overdue().min(deadline);
            let pidfds: Vec<_> = self.running.iter().filter_map(|one| one.task.init.end()).collect();
            // Without pidfds there is no event to wait for.
            let all = pidfds.len() == self.running.len();
            let wake = if all { wake } else { wake.min(Instant::now() + LOOK_EVERY) };
            match supervisor.next(&pidfds, Some(wake)) {
                Ok(Event::Signal(number)) => self.now |= signals::asks_to_stop(number),
                Ok(_) => {}
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn note_ends(&mut self) {
        for one in self.running.extract_if(.., |one| !one.task.init.is_running()) {
            let outcome = if one.killed { StopOutcome::Killed } else { StopOutcome::Graceful };
            let ms = millis(one.asked.elapsed());
            self.stopped.push(StoppedContainer {
                id: one.task.id,
                name: one.container.name,
                outcome,
                exit_code: None,
                ms,
            });
        }
    }

    /// Kills those whose grace period is over. Returns when the next one's will be.
    fn kill_overdue(&mut self) -> Instant {
        let (begun, budget) = (self.begun, self.options.budget);
        let mut next = begun + budget;
        for one in self.running.iter_mut().filter(|one| !one.killed) {
            let end = (one.asked + shutdown_grace(one.container.timeout(), budget))
                .min(begun + shutdown_grace(None, budget));
            if self.now || end <= Instant::now() {
                let _ = one.task.init.signal(SIGKILL);
                one.killed = true;
            } else {
                next = next.min(end);
            }
        }
        next
    }

    /// Lets dockerd see the ends, once it no longer starts anything again, and waits for its own.
    fn wait_for_engine(&self, dockerd: &Process, hold: Hold) -> EngineEnd {
        let count = u32::try_from(self.stopped.len()).unwrap_or(u32::MAX);
        let report = REPORT_EACH.saturating_mul(count).min(self.options.budget / 16);
        let mut deadline = self.begun + self.options.budget - report;
        let lost_containerd = hold.is_empty() && !self.stopped.is_empty();
        if lost_containerd {
            // Nobody is left to report the ends to dockerd, unless it starts a containerd of its own again.
            deadline = deadline.min(Instant::now() + CONTAINERD_RESTART);
        }
        let hangs = dockerd.is_stopped();
        let requests_end = deadline.min(self.begun + REQUESTS_TIMEOUT);
        while !hangs
            && dockerd.is_running()
            && takes_requests(&self.options.socket)
            && Instant::now() < requests_end
        {
            std::thread::sleep(LOOK_EVERY);
        }
        drop(hold);
        while !hangs && dockerd.is_running() && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        EngineEnd { pid: dockerd.pid().as_raw(), ended: !dockerd.is_running(), hangs, lost_containerd }
    }
}

/// Whether an engine still listens, or still has a connection: it shuts down only when both have gone (moby, cmd/dockerd).
fn takes_requests(socket: &Path) -> bool {
    let connections = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    crate::engine::check_listening(socket).is_ok() || is_connected(&connections, socket)
}

/// A line of /proc/net/unix is `Num: RefCount Protocol Flags Type State Inode Path`; state 3 is connected.
fn is_connected(text: &str, socket: &Path) -> bool {
    // /var/run is a link, and dockerd has bound either name.
    let name = |path: &Path| {
        let directory = path.parent()?.canonicalize().ok()?;
        Some(directory.join(path.file_name()?))
    };
    let ours = name(socket);
    text.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(5);
        let (state, path) = (fields.next(), fields.nth(1));
        state == Some("03") && path.is_some_and(|path| ours.is_some() && name(Path::new(path)) == ours)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_connection_is_seen_under_either_name() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("run"), directory.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let line = |state: &str, path: &Path| {
            format!("0000: 00000003 00000000 00000000 0001 {state} 1234 {}\n", path.display())
        };
        let socket = real.join("docker.sock");
        assert!(is_connected(&line("03", &link.join("docker.sock")), &socket));
        assert!(!is_connected(&line("01", &socket), &socket), "it listens");
        assert!(!is_connected(&line("03", &real.join("other.sock")), &socket));
        assert!(!is_connected("Num RefCount Protocol Flags Type St Inode Path\n", &socket));
    }

    #[test]
    fn what_is_left_is_an_error_with_the_ends_of_all() {
        let options = Options {
            socket: "/run/d.sock".into(),
            budget: Duration::from_secs(9),
            data_root: "/var/lib/docker".into(),
            warnings: Vec::new(),
        };
        let end = |ended, hangs| Some(EngineEnd { pid: 7, ended, hangs, lost_containerd: false });
        let code = |left: &[&str], engine| {
            let left = left.iter().map(|name| (*name).to_owned()).collect();
            let result = StopResult { budget_ms: 9000, stopped: Vec::new(), left, engine };
            unfinished(&options, &result).map(|fault| fault.code.name)
        };
        assert_eq!(code(&[], None), None);
        assert_eq!(code(&[], end(true, false)), None);
        assert_eq!(code(&[], end(false, true)), Some("engine-left"));
        assert_eq!(code(&[], end(false, false)), Some("engine-left"));
        assert_eq!(code(&["web"], end(false, false)), Some("containers-left"));
    }
}
