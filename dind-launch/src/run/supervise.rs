//! What becomes of an engine that dies while the main process runs. By default the node ends with it; on request the dead
//! daemon, dockerd or containerd, is started again.
//!
//! containerd's shims outlive both, so inner containers survive the death of containerd. A new dockerd ends those of the
//! one before it and starts again what has a restart policy, as after any crash of an engine without live-restore.

use super::state::Life;
use crate::TOOL;
use crate::engine::{self, Part};
use crate::options::Options;
use crate::process::{Halt, Node, Woken};
use crate::status::record::NodeState;
use dind_contract::finish::log;
use std::time::{Duration, Instant};

/// Starts a dead daemon again, as far as the policy allows. One that dies again while it starts is left for the next call.
///
/// # Errors
/// The daemon's death, where it stays dead; the signal that asks us to stop.
pub fn revive(node: &mut Node, life: &mut Life, part: Part) -> Result<(), Halt> {
    let Options { engine_restart, ready_timeout, .. } = life.options;
    let Some(dead) = life.daemon(part).take() else { return Ok(()) };
    let death = engine::died(node, &dead);
    let Some(pause) = life.attempts.next(engine_restart, dead.started.elapsed()) else {
        *life.daemon(part) = Some(dead);
        return Err(death.into());
    };
    log(TOOL, "warning", format!("{death}; it is started again in {} ms", pause.as_millis()));
    life.keeper.begin(&format!("restart-{}", part.name()));
    life.engine_ready &= part != Part::Dockerd;
    life.keeper.forget(part);
    if !wait_out(node, pause)? {
        return Ok(());
    }
    life.start(node, part)?;
    life.keeper.record.engine_restarts += 1;
    let Some(daemon) = life.daemon(part).as_ref() else { return Ok(()) };
    let pid = daemon.pid;
    match engine::wait_ready(node, daemon, None, ready_timeout) {
        Err(Halt::Fault(_)) if node.ending(pid).is_some() => return Ok(()),
        other => other?,
    }
    life.engine_ready |= part == Part::Dockerd;
    life.keeper.enter(NodeState::Running);
    Ok(())
}

/// Lets a pause pass. Returns whether the main process still runs after it.
fn wait_out(node: &mut Node, pause: Duration) -> Result<bool, Halt> {
    let deadline = Instant::now() + pause;
    while !node.main_has_ended() {
        match node.wait(&[], Some(deadline))? {
            Woken::Deadline => return Ok(true),
            Woken::Stop(number) => return Err(Halt::Asked(number)),
            Woken::Ended(_) | Woken::Ready(_) => {}
        }
    }
    Ok(false)
}
