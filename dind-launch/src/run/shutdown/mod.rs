//! The ordered stop: main process, inner containers with dockerd, containerd, whatever is left, network, storage. All of it
//! within one budget, by the monotonic clock.
//!
//! Each step gets the time that the steps before it have left, less a reserve for those after it. A second signal ends the
//! current step's grace period; the step itself is never skipped.

mod leftovers;
mod main_stop;

use super::main_process::stop_signals;
use super::preflight::tool_variables;
use super::stages;
use super::state::RunState;
use super::{claimed, evidence};
use crate::engine::daemon::{DaemonKind, died};
use crate::process::sibling::{self, documents};
use crate::process::tool::{OnStopSignal, ToolProcess};
use crate::process::{Node, StopReason, WaitOutcome};
use crate::stage::Stage;
use crate::stop_signals;
use dind_contract::Fault;
use dind_system::supervisor::{ChildId, ExitStatus, send};
use dind_system::{Root, proc};
use leftovers::stop_leftovers;
use main_stop::MainStop;
use nix::libc::SIGCONT;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::{Duration, Instant};

const TERM: i32 = Signal::SIGTERM as i32;
const KILL: i32 = Signal::SIGKILL as i32;

/// Between two looks at what no event reports.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a killed process may take to exit.
const AFTER_KILL: Duration = Duration::from_millis(500);

/// The reaper's code for an engine that has not ended within its budget.
const ENGINE_LEFT: &str = "engine-left";

/// The shares of the budget, in percent, after which a step has to be over. The containers are asked within the first quarter.
const MAIN_ALONE_UNTIL: u32 = 20;
const MAIN_UNTIL: u32 = 35;
/// The reaper gets what is left until here. It needs some time after that to report, on a busy machine.
const REAPER_UNTIL: u32 = 89;
const ENGINE_UNTIL: u32 = 92;
const LEFTOVERS_UNTIL: u32 = 95;
const STAGES_UNTIL: u32 = 97;
const NET_UNTIL: u32 = 98;
const STORAGE_UNTIL: u32 = 100;

/// What a release may take even when the budget is spent. It takes some ten milliseconds, but for a filesystem that writes its
/// last data; what it leaves undone the kernel undoes at the end of the container.
const RELEASE_AT_LEAST: Duration = Duration::from_secs(1);

/// The budget of one stop.
#[derive(Clone, Copy, Debug)]
struct Budget {
    begun: Instant,
    whole: Duration,
}

impl Budget {
    /// What is left until this percentage of the whole has passed.
    fn until(self, percent: u32) -> Duration {
        self.at(percent).saturating_duration_since(Instant::now())
    }

    /// When this percentage of the whole will have passed.
    fn at(self, percent: u32) -> Instant {
        self.begun + self.whole * percent / 100
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
        node.signal(preload.child(), KILL);
    }
    if let Some(reclaim) = state.reclaim.take() {
        // The engine removes an image whole, whoever has asked for it.
        node.signal(reclaim.child(), KILL);
    }
    for probe in std::mem::take(&mut state.range_probes) {
        node.signal(probe.child(), KILL);
    }
    let command = &state.writer.record.command;
    let signals = stop_signals(command, state.options.main_stop_signal, for_main(node, signal));
    let stopped = stop_main_and_containers(node, state, budget, signals);
    claimed::report(node, state);
    // It has had all the time that there is for it.
    let engine_left =
        stopped.as_ref().is_err_and(|fault| fault.causes.iter().any(|code| code == ENGINE_LEFT));
    collect(stopped);
    if let Some(dockerd) = state.dockerd.take() {
        state.writer.begin(Stage::StopEngine);
        // Nobody ends dockerd by a signal that it cannot handle but a user or the kernel; it has not written down how its containers
        // ended. A stop that its death has begun has reported it.
        if signal.is_some() && matches!(node.exit_status(dockerd.child), Some(ExitStatus::Signaled(_))) {
            collect(Err(died(node, &dockerd)));
        }
        // A second TERM, where the reaper has sent one, changes nothing; at the third, dockerd exits at once and cleans nothing up.
        let grace = if engine_left { Duration::ZERO } else { budget.until(ENGINE_UNTIL) };
        end(node, dockerd.child, TERM, grace);
        state.writer.exited(DaemonKind::Dockerd);
    }
    if let Some(containerd) = state.containerd.take() {
        state.writer.begin(Stage::StopContainerd);
        // Somebody may have stopped it: the reaper, were it killed, or whoever looks for a fault.
        node.signal(containerd.child, SIGCONT);
        end(node, containerd.child, TERM, budget.until(ENGINE_UNTIL));
        state.writer.exited(DaemonKind::Containerd);
    }
    evidence::finish(node, state, budget.until(LEFTOVERS_UNTIL));
    state.writer.begin(Stage::StopLeftovers);
    stop_leftovers(node, budget.until(LEFTOVERS_UNTIL));
    node.log.drain();
    let limit = || budget.until(STAGES_UNTIL).max(RELEASE_AT_LEAST);
    for fault in stages::release(node, state, limit) {
        collect(Err(fault));
    }
    if std::mem::take(&mut state.net_applied) {
        let tool = state.tools.net.clone();
        collect(release(node, state, Stage::ReleaseNet, &tool, budget.until(NET_UNTIL)));
    }
    if std::mem::take(&mut state.storage_applied) {
        let tool = state.tools.storage.clone();
        collect(release(node, state, Stage::ReleaseStorage, &tool, budget.until(STORAGE_UNTIL)));
    }
    (node.main.and_then(|pid| node.exit_status(pid)), faults)
}

/// Sends a child a signal, waits for its exit, and kills it after `grace`.
fn end(node: &mut Node, child: ChildId, signal: i32, grace: Duration) {
    node.signal(child, signal);
    if !node.wait_for(child, grace) {
        node.signal(child, KILL);
        let deadline = Instant::now() + AFTER_KILL;
        while node.exit_status(child).is_none() && Instant::now() < deadline {
            node.wait_for(child, deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// What the signal that asked the node to stop is to the main process.
fn for_main(node: &Node, signal: Option<i32>) -> Option<i32> {
    Some(stop_signals::for_main(signal?, node.main?.pid()))
}

/// Has the main process end, and dind-reaper the engine with its containers. The main process has the node for itself at first;
/// if it still runs after that, the containers are asked beside it, so that they have their signal and their time, too. A signal
/// to us ends the grace period of whatever is under way.
fn stop_main_and_containers(
    node: &mut Node,
    state: &mut RunState,
    budget: Budget,
    signals: Vec<i32>,
) -> Result<(), Fault> {
    let mut main = node.main.map(|pid| MainStop::new(pid, signals, budget.at(MAIN_UNTIL)));
    if main.is_some() {
        state.writer.begin(Stage::StopMain);
    }
    // Even a dockerd that has not answered yet may have started what has a restart policy, and one that has died has left it.
    let mut waits_for_main = state.containerd.is_some() || state.dockerd.is_some();
    let (mut reaper, mut not_started) = (None::<ToolProcess>, None);
    let mut hurry = false;
    let mut reaper_until = budget.at(LEFTOVERS_UNTIL);
    loop {
        if hurry && reaper.as_ref().is_some_and(hears_term) {
            hurry = false;
            reaper.iter().for_each(|reaper| node.signal(reaper.child(), TERM));
        }
        let next = main.as_mut().and_then(|main| main.advance(node));
        if waits_for_main && (next.is_none() || budget.until(MAIN_ALONE_UNTIL).is_zero()) {
            waits_for_main = false;
            state.writer.begin(Stage::StopContainers);
            match start_reaper(node, state, budget.until(REAPER_UNTIL)) {
                Ok(started) => reaper = Some(started),
                Err(fault) => not_started = Some(fault),
            }
        }
        let running = reaper.as_ref().filter(|reaper| !reaper.is_finished(node));
        let deadline = match (next, running) {
            (None, None) => break,
            (Some(next), None) if waits_for_main => next.min(budget.at(MAIN_ALONE_UNTIL)),
            (Some(next), _) => next,
            (None, Some(_)) => reaper_until,
        };
        let deadline = if hurry { deadline.min(Instant::now() + LOOK_EVERY) } else { deadline };
        let stdout: Vec<_> = running.and_then(ToolProcess::stdout).into_iter().collect();
        match node.wait(&stdout, Some(deadline)) {
            WaitOutcome::Ready(_) => reaper.iter_mut().for_each(ToolProcess::read_stdout),
            WaitOutcome::StopSignal(_) => {
                main.iter_mut().for_each(MainStop::hurry);
                hurry |= reaper.is_some();
            }
            // It knows its budget; one that does not keep it does not keep the node.
            WaitOutcome::Deadline if next.is_none() && Instant::now() >= reaper_until => {
                let Some(reaper) = reaper.as_mut().filter(|reaper| reaper.killed_after().is_none()) else {
                    break;
                };
                reaper.kill(node);
                reaper_until = Instant::now() + AFTER_KILL;
            }
            WaitOutcome::Exited(_) | WaitOutcome::Deadline => {}
        }
    }
    if let Some(main) = node.main {
        // What is left of its process group: a group exists, and keeps its number, as long as one of its members does.
        let _ = send(-main.pid().as_raw(), KILL);
    }
    match (reaper, not_started) {
        (Some(reaper), _) => {
            sibling::document(node, &reaper).map(|document| state.writer.keep("reaper", document))
        }
        (None, Some(fault)) => Err(fault),
        (None, None) => Ok(()),
    }
}

/// Until it has taken over the signals, TERM would end it, and nobody would be asked.
fn hears_term(reaper: &ToolProcess) -> bool {
    let status = proc::status_of(&Root::default(), reaper.child().pid().as_raw());
    // One that has exited hears nothing, and needs not to.
    status.map_or(true, |status| status.blocks(TERM))
}

/// Starts the end of the engine and its containers, within a budget.
///
/// # Errors
/// [`crate::fault::TOOL_BROKEN`].
pub(super) fn start_reaper(
    node: &mut Node,
    state: &RunState,
    budget: Duration,
) -> Result<ToolProcess, Fault> {
    let within = format!("{}ms", budget.as_millis());
    let host = format!("unix://{}", state.writer.record.socket.display());
    let data_root = state.data_root.display().to_string();
    let args = ["stop", "--as", "shutdown", "--budget", &within, "--data-root", &data_root];
    sibling::start(node, &state.tools.reaper, &args, &[("DOCKER_HOST", &host)])
}

/// Runs the `release` of a sibling tool. It is short, and no signal interrupts it; after `limit` it is killed.
fn release(
    node: &mut Node,
    state: &mut RunState,
    stage: Stage,
    tool: &Path,
    limit: Duration,
) -> Result<(), Fault> {
    state.writer.begin(stage);
    let tool = sibling::start(node, tool, &["release"], &tool_variables(&state.user, &state.options))?;
    let limit = Some(limit.max(RELEASE_AT_LEAST));
    let documents = documents(node, [tool], OnStopSignal::RunToEnd, limit);
    let [document] = documents.map_err(StopReason::into_fault)?;
    state.writer.keep(stage.name(), document);
    Ok(())
}
