//! What becomes of an engine that dies while the main process runs. By default the node ends with it; on request the dead
//! daemon, dockerd or containerd, is started again.
//!
//! containerd's shims outlive both, so inner containers survive the death of containerd. A new dockerd ends those of the
//! one before it and starts again what has a restart policy, as after any crash of an engine without live-restore.

use super::state::RunState;
use crate::TOOL;
use crate::engine::{self, DaemonKind};
use crate::options::Options;
use crate::process::{Node, StopReason, WaitOutcome};
use crate::status::record::NodeState;
use dind_contract::finish::log;
use std::time::{Duration, Instant};

/// Starts a dead daemon again, as far as the policy allows. One that dies again while it starts is left for the next call.
///
/// # Errors
/// The daemon's death, where it stays dead; the signal that asks us to stop.
pub fn restart_daemon(node: &mut Node, state: &mut RunState, kind: DaemonKind) -> Result<(), StopReason> {
    let Options { engine_restart, ready_timeout, .. } = state.options;
    let Some(dead) = state.daemon(kind).take() else { return Ok(()) };
    let death = engine::died(node, &dead);
    let Some(pause) = state.attempts.next(engine_restart, dead.started.elapsed()) else {
        *state.daemon(kind) = Some(dead);
        return Err(death.into());
    };
    log(TOOL, "warning", format!("{death}; it is started again in {} ms", pause.as_millis()));
    state.writer.begin(&format!("restart-{}", kind.name()));
    state.engine_ready &= kind != DaemonKind::Dockerd;
    state.writer.forget(kind);
    if !wait_out(node, pause)? {
        return Ok(());
    }
    state.start(node, kind)?;
    state.writer.record.engine_restarts += 1;
    let Some(daemon) = state.daemon(kind).as_ref() else { return Ok(()) };
    let pid = daemon.pid;
    match engine::wait_ready(node, daemon, None, ready_timeout) {
        Err(StopReason::Fault(_)) if node.exit_status(pid).is_some() => return Ok(()),
        other => other?,
    }
    state.engine_ready |= kind == DaemonKind::Dockerd;
    state.writer.enter(NodeState::Running);
    Ok(())
}

/// Lets a pause pass. Returns whether the main process still runs after it.
fn wait_out(node: &mut Node, pause: Duration) -> Result<bool, StopReason> {
    let deadline = Instant::now() + pause;
    while !node.main_has_exited() {
        match node.wait(&[], Some(deadline))? {
            WaitOutcome::Deadline => return Ok(true),
            WaitOutcome::StopSignal(number) => return Err(StopReason::Signal(number)),
            WaitOutcome::Exited(_) | WaitOutcome::Ready(_) => {}
        }
    }
    Ok(false)
}
