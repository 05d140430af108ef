//! A node that waits for its main process (`run --hold`): the launcher's side of [`crate::claim`].

use super::state::RunState;
use super::{agent, main_process};
use crate::claim::{Claim, Listener};
use crate::mesos;
use crate::process::{Node, init_failed};
use crate::status::record::Hold;
use dind_contract::Fault;
use dind_system::supervisor::SpawnMode;

/// Begins to listen, before the record says that the node is ready: who reads that may claim it at once.
///
/// # Errors
/// [`crate::fault::INIT_FAILED`].
pub(super) fn listen(state: &mut RunState) -> Result<(), Fault> {
    state.claims = Some(Listener::bind()?);
    Ok(())
}

/// Starts the command of whoever claims the node. Where that fails, it can still be claimed.
pub(super) fn accept(node: &mut Node, state: &mut RunState) {
    let Some(claim) = state.claims.as_ref().and_then(Listener::accept) else { return };
    match start_main(node, state, &claim) {
        Ok(()) => {
            state.writer.update();
            // Whoever has connected meanwhile is refused, by the record that is there now.
            state.claims = None;
            state.claimant = Some(claim.into_claimant());
        }
        Err(fault) => {
            // What an agent would have had.
            state.writer.record.mesos = None;
            claim.claimant.refuse(&fault);
        }
    }
}

fn start_main(node: &mut Node, state: &mut RunState, claim: &Claim) -> Result<(), Fault> {
    let mut command = claim.command().map_err(|error| init_failed("cannot duplicate a stream", &error))?;
    if mesos::is_agent(&claim.words) {
        command.envs(agent::variables(state, |name| claim.variable(name)));
    }
    let main = main_process::spawn(node, &claim.words, &mut command, SpawnMode::Terminal)?;
    let record = &mut state.writer.record;
    record.main_pid = Some(main.pid().as_raw());
    record.command.clone_from(&claim.words);
    record.hold = Some(Hold::Claimed);
    Ok(())
}

/// Passes on a signal that the claimer got, or notes that it has gone: the command stays.
pub(super) fn pass_signal(node: &Node, state: &mut RunState) {
    match state.claimant.as_ref().and_then(crate::claim::Claimant::signal) {
        Some(number) => node.main.iter().for_each(|main| node.signal(*main, number)),
        None => state.claimant = None,
    }
}

/// Reports the command's end to whoever waits for it, once.
pub(super) fn report(node: &Node, state: &mut RunState) {
    let ended = node.main.and_then(|main| node.exit_status(main));
    if let Some((ended, claimant)) = ended.and_then(|ended| Some((ended, state.claimant.take()?))) {
        claimant.report(ended.status());
    }
}
