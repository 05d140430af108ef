//! `run`: a node, from the first signal mask to the last unmount, and the status that it exits with.
//!
//! In the order of a run:
//! 1. [`command_form`] says whether the command is the main process, or flags for the engine. [`preflight`] finds everything that can be wrong before anything changes, and makes the [`state`] of the run.
//! 2. [`start`] takes the [`network_lock`], prepares the container, has the sibling tools set up the data root and the network,
//!    starts containerd and dockerd, loads image archives (`preload`), and starts the [`main_process`].
//! 3. [`supervise`] waits for the end: of the main process, of the engine, or by a signal.
//! 4. [`shutdown`] stops everything in order.

mod agent;
mod certificates;
mod claimed;
pub mod command_form;
mod daemons;
mod evidence;
pub mod main_process;
pub mod network_lock;
pub mod preflight;
mod preload;
mod range_probe;
mod reclaim;
mod reload;
pub mod shutdown;
pub(crate) mod stages;
pub mod start;
pub mod state;
pub mod supervise;

use crate::cli::RunOptions;
use crate::process::{Node, StopReason, init_failed};
use crate::rootless::Mode;
use crate::status::record::NodeState;
use crate::{TOOL, doctor, fault, rootless};
use command_form::{Form, become_program};
use dind_contract::Fault;
use dind_contract::finish::{log, log_fault};
use dind_system::Root;
use dind_system::supervisor::{ExitStatus, Supervisor};
use preflight::preflight;
use shutdown::stop;
use start::start;
use state::RunState;
use std::ffi::OsString;
use std::time::Instant;
use supervise::supervise;

/// The status when the launcher or one of its stages failed, as with `docker run`.
const LAUNCHER_FAILED: u8 = 125;

/// Runs a node to its end. `words` is the whole command line. Returns the status to exit with.
#[must_use]
pub fn run(text: &RunOptions, command: &[String], words: &[OsString]) -> u8 {
    let begun = Instant::now();
    let root = Root::default();
    match Form::of(&root, command).printing(&root) {
        Ok(None) => {}
        Ok(Some(words)) => return report(&become_program(&words)),
        Err(fault) => return report(&fault),
    }
    let supervisor = match Supervisor::new() {
        Ok(supervisor) => supervisor,
        Err(error) => return report(&init_failed("cannot take over signals", &error)),
    };
    match is_outside(text, &root) {
        Ok(false) => {}
        Ok(true) => return run_unshared(supervisor, &root, words),
        Err(fault) => return report(&fault),
    }
    match preflight(begun, text, command) {
        Ok((state, log)) => run_node(Node::new(supervisor, log), state),
        Err(fault) => report(&fault),
    }
}

/// Whether the node's namespaces are still to be made.
fn is_outside(text: &RunOptions, root: &Root) -> Result<bool, Fault> {
    Ok(rootless::mode(text.userns.as_ref())? == Mode::Unshare && !rootless::is_inside(root))
}

fn run_unshared(supervisor: Supervisor, root: &Root, words: &[OsString]) -> u8 {
    let ended = doctor::refuse_rootless(root)
        .and_then(|()| rootless::run(supervisor, words, |name| std::env::var(name).ok()));
    ended.unwrap_or_else(|fault| report(&fault))
}

fn run_node(mut node: Node, mut state: RunState) -> u8 {
    let started = start(&mut node, &mut state);
    if started.is_err() {
        state.writer.keep_programs(node.take_programs());
    }
    let reason = started.and_then(|()| supervise(&mut node, &mut state)).err();
    claimed::report(&node, &mut state);
    let signal = match &reason {
        Some(StopReason::Signal(number)) => Some(*number),
        _ => None,
    };
    let engine_was_the_service = state.writer.record.state == NodeState::Running && node.main.is_none();
    let mut final_state = NodeState::Stopped;
    if let Some(StopReason::Fault(fault)) = &reason {
        report(fault);
        state.writer.record.error = Some(fault.object());
        final_state = NodeState::Failed;
    }
    state.writer.enter(NodeState::Stopping);
    (node.stops_by_itself, node.reloads_on_hup) = (signal.is_none(), false);
    let (main, faults) = stop(&mut node, &mut state, signal);
    let mut status = match (reason, main) {
        (Some(StopReason::Fault(fault)), _) => status_of(&fault),
        (_, Some(exit_status)) => exit_status.status(),
        (Some(StopReason::Signal(_)), None) if engine_was_the_service => 0,
        (Some(StopReason::Signal(number)), None) => ExitStatus::Signaled(number).status(),
        (None, None) => LAUNCHER_FAILED,
    };
    for fault in &faults {
        let failed = report(fault);
        // The first that went wrong, and how each container ended: that is known where the stop itself failed.
        let first = state.writer.record.error.get_or_insert_with(|| fault.object());
        first.details = first.details.take().or_else(|| fault.details.clone());
        // A failure of the main process itself matters more than ours.
        status = if status == 0 { failed } else { status };
    }
    state.writer.record.exit_status = Some(status);
    state.writer.enter(final_state);
    evidence::copy_record(&mut node, &state);
    status
}

/// Logs a fault, and gives the status to exit with.
pub fn report(fault: &Fault) -> u8 {
    // The verb of a sibling tool that failed has logged its own causes and hint.
    if fault.code.name == fault::STAGE_FAILED.name {
        log(TOOL, "error", fault);
    } else {
        log_fault(TOOL, fault);
    }
    status_of(fault)
}

fn status_of(fault: &Fault) -> u8 {
    match fault.code {
        fault::COMMAND_NOT_FOUND => 127,
        fault::COMMAND_NOT_EXECUTABLE => 126,
        _ => LAUNCHER_FAILED,
    }
}
