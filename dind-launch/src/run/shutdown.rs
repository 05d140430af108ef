//! The ordered stop: main process, inner containers, dockerd, containerd, whatever is left, network, storage. All of it
//! within one budget, by the monotonic clock.
//!
//! Each step gets the time that the steps before it have left, less a reserve for those after it. A second signal ends the
//! current step's grace period; the step itself is never skipped.

use super::main_process::stop_signals;
use super::state::RunState;
use crate::engine::daemon::DaemonKind;
use crate::process::sibling::{self, documents};
use crate::process::tool::OnStopSignal;
use crate::process::{Node, StopReason, WaitOutcome};
use crate::stage::Stage;
use dind_contract::Fault;
use dind_system::supervisor::{ExitStatus, send};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const TERM: i32 = Signal::SIGTERM as i32;
const KILL: i32 = Signal::SIGKILL as i32;

/// How long a killed process may take to exit.
const AFTER_KILL: Duration = Duration::from_millis(500);
/// How long processes that we did not start may take to end by themselves.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(1);
/// How often /proc is read for processes that are not our children.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// The shares of the budget, in percent, after which a step has to be over.
const MAIN_UNTIL: u32 = 35;
const CONTAINERS_UNTIL: u32 = 80;
const ENGINE_UNTIL: u32 = 92;
const LEFTOVERS_UNTIL: u32 = 95;

/// The budget of one stop.
#[derive(Clone, Copy, Debug)]
struct Budget {
    begun: Instant,
    whole: Duration,
}

impl Budget {
    /// What is left until this percentage of the whole has passed.
    fn until(self, percent: u32) -> Duration {
        (self.whole * percent / 100).saturating_sub(self.begun.elapsed())
    }
}

/// Stops everything that was started and releases everything that was applied, in order. Every step is tried, even if the one
/// before it failed. `signal` is the one that asked the node to stop.
///
/// Returns how the main process exited, and the faults of the steps.
pub fn stop(node: &mut Node, state: &mut RunState, signal: Option<i32>) -> (Option<ExitStatus>, Vec<Fault>) {
    let budget = Budget { begun: Instant::now(), whole: state.options.stop_budget };
    let mut faults = Vec::new();
    let mut collect = |result: Result<(), Fault>| faults.extend(result.err());

    if let Some(preload) = state.preload_process.take() {
        // Safe at any moment: dockerd takes over a layer whole or not at all.
        node.signal(preload.pid(), KILL);
    }
    let main = node.main;
    if let Some(main) = main {
        state.writer.begin(Stage::StopMain);
        let command = &state.writer.record.command;
        let signals = stop_signals(command, state.options.main_stop_signal, signal);
        collect(ask_and_end(node, main, &signals, budget.until(MAIN_UNTIL)));
        // What is left of its process group: a group exists, and keeps its number, as long as one of its members does.
        let _ = send(-main.as_raw(), KILL);
    }
    if let Some(dockerd) = state.dockerd.take() {
        state.writer.begin(Stage::StopContainers);
        if state.engine_ready && node.exit_status(dockerd.pid).is_none() {
            collect(stop_containers(node, state, budget));
        }
        state.writer.begin(Stage::StopEngine);
        // One TERM only: at the fourth, dockerd exits at once and cleans nothing up.
        collect(end(node, dockerd.pid, TERM, budget.until(ENGINE_UNTIL)));
        state.writer.exited(DaemonKind::Dockerd);
    }
    if let Some(containerd) = state.containerd.take() {
        state.writer.begin(Stage::StopContainerd);
        collect(end(node, containerd.pid, TERM, budget.until(ENGINE_UNTIL)));
        state.writer.exited(DaemonKind::Containerd);
    }
    state.writer.begin(Stage::StopLeftovers);
    collect(stop_leftovers(node, budget.until(LEFTOVERS_UNTIL)));
    node.log.drain();
    if std::mem::take(&mut state.net_applied) {
        let tool = state.tools.net.clone();
        collect(release(node, state, Stage::ReleaseNet, &tool));
    }
    if std::mem::take(&mut state.storage_applied) {
        let tool = state.tools.storage.clone();
        collect(release(node, state, Stage::ReleaseStorage, &tool));
    }
    (main.and_then(|pid| node.exit_status(pid)), faults)
}

/// Sends a child one signal after the other. The first gets three quarters of the time that is left, because it is the one
/// that the child should end by; a second signal to us ends all of that time.
fn ask_and_end(node: &mut Node, pid: Pid, signals: &[i32], grace: Duration) -> Result<(), Fault> {
    let Some((last, first)) = signals.split_last() else { return Ok(()) };
    let mut left = grace;
    for signal in first {
        let share = left * 3 / 4;
        let asked = Instant::now();
        node.signal(pid, *signal);
        if node.wait_for(pid, share)? {
            return Ok(());
        }
        left = if asked.elapsed() < share { Duration::ZERO } else { left - share };
    }
    end(node, pid, *last, left)
}

/// Sends a child a signal, waits for its exit, and kills it after `grace`.
fn end(node: &mut Node, pid: Pid, signal: i32, grace: Duration) -> Result<(), Fault> {
    node.signal(pid, signal);
    if !node.wait_for(pid, grace)? {
        node.signal(pid, KILL);
        let deadline = Instant::now() + AFTER_KILL;
        while node.exit_status(pid).is_none() && Instant::now() < deadline {
            node.wait_for(pid, deadline.saturating_duration_since(Instant::now()))?;
        }
    }
    Ok(())
}

/// Has `dind-reaper` stop the inner containers.
fn stop_containers(node: &mut Node, state: &mut RunState, budget: Budget) -> Result<(), Fault> {
    let stop = |node: &mut Node, state: &RunState, args: &[&str], on_stop| {
        let within = format!("{}ms", budget.until(CONTAINERS_UNTIL).as_millis());
        let args = [&["stop", "--budget", &within], args].concat();
        let host = format!("unix://{}", state.writer.record.socket.display());
        let tool = sibling::start(node, &state.tools.reaper, &args, &[("DOCKER_HOST", &host)])?;
        documents(node, [tool], on_stop)
    };
    let document = match stop(node, state, &[], OnStopSignal::Terminate) {
        // A second signal: the user is in a hurry.
        Err(StopReason::Signal(_)) => stop(node, state, &["--now"], OnStopSignal::RunToEnd),
        other => other,
    };
    let [document] = document.map_err(StopReason::into_fault)?;
    state.writer.keep("reaper", document);
    Ok(())
}

/// Ends every process that is left: shims of a dead engine, and what the main process has put into the background.
fn stop_leftovers(node: &mut Node, grace: Duration) -> Result<(), Fault> {
    for (signal, limit) in [(TERM, grace.min(LEFTOVERS_GRACE)), (KILL, AFTER_KILL)] {
        let deadline = Instant::now() + limit;
        let mut left = remaining();
        left.iter().for_each(|pid| drop(send(*pid, signal)));
        while !left.is_empty() && Instant::now() < deadline {
            // Some are not our children (`docker exec`), so their exit wakes nobody.
            if let WaitOutcome::StopSignal(_) =
                node.wait(&[], Some((Instant::now() + POLL_EVERY).min(deadline)))?
            {
                break;
            }
            left = remaining();
        }
    }
    Ok(())
}

/// The pids of all processes of the container where we are PID 1; otherwise of our children, which orphans below us become.
fn remaining() -> Vec<i32> {
    let text = if std::process::id() == 1 {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>().join(" ")
    } else {
        fs::read_to_string("/proc/thread-self/children").unwrap_or_default()
    };
    text.split_whitespace().filter_map(|word| word.parse().ok()).filter(|pid| *pid != 1).collect()
}

/// Runs the `release` of a sibling tool. It is short, and never interrupted.
fn release(node: &mut Node, state: &mut RunState, stage: Stage, tool: &Path) -> Result<(), Fault> {
    state.writer.begin(stage);
    let tool = sibling::start(node, tool, &["release"], &[])?;
    let [document] = documents(node, [tool], OnStopSignal::RunToEnd).map_err(StopReason::into_fault)?;
    state.writer.keep(stage.name(), document);
    Ok(())
}
