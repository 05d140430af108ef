//! Waits for the end of a running node, and handles an engine that dies meanwhile. By default the node ends with its engine;
//! on request the dead daemon, dockerd or containerd, is started again.
//!
//! containerd's shims outlive both, so inner containers survive the death of containerd. Those of a dead dockerd are ended before
//! a new one starts: without live-restore it would end them itself, and then it starts those with a restart policy again.

use super::reload::reload;
use super::shutdown::start_reaper;
use super::state::RunState;
use super::{claimed, evidence, reclaim};
use crate::TOOL;
use crate::engine::daemon::{DaemonKind, died, wait_ready};
use crate::options::Options;
use crate::process::sibling::documents;
use crate::process::tool::{OnStopSignal, ToolProcess};
use crate::process::{Node, StopReason, WaitOutcome};
use crate::reload::{Listener, reply};
use crate::stage::Stage;
use crate::status::record::NodeState;
use dind_contract::Failure;
use dind_contract::finish::log;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What there is to read, or to answer.
#[derive(Clone, Copy, Debug)]
enum Source {
    Reload,
    Claim,
    Claimant,
    Preload,
    Reclaim,
}

/// How long the reaper may take beyond its budget, to report.
const AFTER_BUDGET: Duration = Duration::from_secs(1);

/// Waits until the main process exits, which is success.
///
/// # Errors
/// The death of the engine, unless it was started again; the signal that asks the node to stop.
pub(super) fn supervise(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    let listener = Listener::bind().inspect_err(|fault| log(TOOL, "warning", fault)).ok();
    node.reloads_on_hup = listener.is_some();
    reclaim::start(node, state);
    while !node.main_has_exited() {
        state.collect_preload(node);
        reclaim::collect(node, state);
        evidence::notice_end(node, state);
        if let Some(kind) = state.dead_daemon(node) {
            restart_daemon(node, state, kind)?;
            continue;
        }
        let sources = [
            (Source::Reload, listener.as_ref().map(AsFd::as_fd)),
            (Source::Claim, state.claims.as_ref().map(AsFd::as_fd)),
            (Source::Claimant, state.claimant.as_ref().map(AsFd::as_fd)),
            (Source::Preload, state.preload_process.as_ref().and_then(ToolProcess::stdout)),
            (Source::Reclaim, state.reclaim.as_ref().and_then(ToolProcess::stdout)),
        ];
        let (sources, watched): (Vec<_>, Vec<_>) =
            sources.into_iter().filter_map(|(source, fd)| Some((source, fd?))).unzip();
        match node.wait(&watched, None) {
            WaitOutcome::StopSignal(number) => return Err(StopReason::Signal(number)),
            WaitOutcome::Ready(index) => match sources[index] {
                Source::Reload => answer(node, state, listener.as_ref())?,
                Source::Claim => claimed::accept(node, state),
                Source::Claimant => claimed::pass_signal(node, state),
                Source::Preload => state.preload_process.iter_mut().for_each(ToolProcess::read_stdout),
                Source::Reclaim => state.reclaim.iter_mut().for_each(ToolProcess::read_stdout),
            },
            WaitOutcome::Exited(_) | WaitOutcome::Deadline => {}
        }
    }
    Ok(())
}

/// Reloads the settings for whoever asks on the socket.
fn answer(node: &mut Node, state: &mut RunState, listener: Option<&Listener>) -> Result<(), StopReason> {
    let Some(stream) = listener.and_then(Listener::accept) else { return Ok(()) };
    match reload(node, state) {
        Ok(draft) => reply(&stream, &draft.report(TOOL, "reload")),
        Err(StopReason::Fault(fault)) => {
            let (schema, mode) = (TOOL.schema.to_owned(), "reload".to_owned());
            reply(&stream, &Failure { schema, ok: false, mode, error: fault.object(), steps: Vec::new() });
        }
        Err(reason) => return Err(reason),
    }
    Ok(())
}

/// Starts a dead daemon again if the policy allows it. One that dies again while it starts is left for the next call.
///
/// # Errors
/// [`crate::fault::ENGINE_DIED`], where the policy does not allow it; the signal that asks the node to stop.
fn restart_daemon(node: &mut Node, state: &mut RunState, kind: DaemonKind) -> Result<(), StopReason> {
    let Options { engine_restart, ready_timeout, .. } = state.options;
    let Some(dead) = state.daemon(kind).take() else { return Ok(()) };
    let death = died(node, &dead);
    let Some(pause) = state.restart_attempts.next(engine_restart, dead.started.elapsed()) else {
        *state.daemon(kind) = Some(dead);
        return Err(death.into());
    };
    log(TOOL, "warning", format!("{death}; it is started again in {} ms", pause.as_millis()));
    state.writer.begin(Stage::Restart(kind));
    state.writer.exited(kind);
    if kind == DaemonKind::Dockerd {
        keep_bridge(state);
        end_orphans(node, state)?;
    }
    if !wait_out(node, pause)? {
        return Ok(());
    }
    state.start_daemon(node, kind)?;
    state.writer.record.engine_restarts += 1;
    let Some(daemon) = state.daemon(kind).as_ref() else { return Ok(()) };
    let child = daemon.child;
    match wait_ready(node, daemon, None, ready_timeout) {
        Ok(true) => {}
        // The main process has exited.
        Ok(false) => return Ok(()),
        Err(StopReason::Fault(_)) if node.exit_status(child).is_some() => return Ok(()),
        Err(reason) => return Err(reason),
    }
    state.writer.enter(NodeState::Running);
    Ok(())
}

/// A dockerd that has pools for networks deletes the docker0 that it finds in its record (dind-net's README, "Subnets"), and that of a
/// bridged node has the uplink in it.
fn keep_bridge(state: &mut RunState) {
    let net = state.writer.record.documents.get("net").map(|net| &net.result);
    if net.is_some_and(|net| net["mode"] == "bridged" && net["bridge"]["name"] == "docker0") {
        state.dockerd_settings.config.remove("default-address-pools");
    }
}

/// Ends the containers that a dead dockerd has left. A new one would stop them as a user does (moby, `restore`), and what has
/// `restart: unless-stopped` would stay down; of a container that has ended without it, it only knows that it is to be started.
fn end_orphans(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    let budget = state.options.stop_budget;
    let ended = start_reaper(node, state, budget)
        .map_err(StopReason::from)
        .and_then(|reaper| documents(node, [reaper], OnStopSignal::Terminate, Some(budget + AFTER_BUDGET)));
    match ended {
        Err(StopReason::Fault(fault)) => {
            log(TOOL, "warning", format!("inner containers may not start again: {fault}"));
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Waits for `pause`. Returns false, at once, if the main process exits meanwhile.
fn wait_out(node: &mut Node, pause: Duration) -> Result<bool, StopReason> {
    let deadline = Instant::now() + pause;
    while !node.main_has_exited() {
        match node.wait(&[], Some(deadline)) {
            WaitOutcome::Deadline => return Ok(true),
            WaitOutcome::StopSignal(number) => return Err(StopReason::Signal(number)),
            WaitOutcome::Exited(_) | WaitOutcome::Ready(_) => {}
        }
    }
    Ok(false)
}
