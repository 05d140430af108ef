//! The verbs of the user's stages: `plan` before anything changes, `apply` between network and engine, `release` in reverse order when
//! the node stops.

use super::state::RunState;
use crate::process::sibling::{self, Document, documents};
use crate::process::tool::{OnStopSignal, ToolProcess, wait_all};
use crate::process::{Node, StopReason};
use crate::stage::Stage;
use crate::stages::{self, RELEASE, StageProgram};
use dind_contract::{Engine, Fault};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The plans, in order; all of them run at once.
///
/// # Errors
/// [`crate::fault::SETTINGS_REFUSED`], [`crate::fault::TOOL_BROKEN`]; the signal that asks the node to stop.
pub(crate) fn plans(
    node: &mut Node,
    programs: &[StageProgram],
    root: &str,
) -> Result<Vec<Document>, StopReason> {
    let mut plans = Vec::with_capacity(programs.len());
    for program in programs {
        let mut command = command(&program.path, "plan");
        if root != "/" {
            command.args(["--root", root]);
        }
        let started = ToolProcess::start_quiet(node, command);
        plans.push(started.map_err(|error| sibling::not_executed(&program.path, &error))?);
    }
    wait_all(node, &mut plans, OnStopSignal::Terminate, None)?;
    Ok(plans.iter().map(|plan| sibling::document(node, plan)).collect::<Result<_, _>>()?)
}

/// Refuses settings for the engine that contradict those of storage, network, or an earlier stage, which come in this order.
///
/// # Errors
/// [`crate::fault::SETTING_CONTRADICTS`].
pub(crate) fn agree(engines: &[&Engine], programs: &[StageProgram]) -> Result<(), Fault> {
    let names = ["storage", "net"].into_iter().chain(programs.iter().map(|program| program.name.as_str()));
    stages::agree(&names.zip(engines.iter().copied()).collect::<Vec<_>>())
}

/// Applies them one after the other: each finds what the ones before it have done, in the record and on the machine. Returns their
/// settings for the engine.
///
/// # Errors
/// [`crate::fault::STAGE_FAILED`], [`crate::fault::TOOL_BROKEN`]; the signal that asks the node to stop.
pub(super) fn apply(node: &mut Node, state: &mut RunState) -> Result<Vec<Engine>, StopReason> {
    let mut engines = Vec::with_capacity(state.options.stages.len());
    if !state.options.stages.is_empty() {
        state.writer.begin(Stage::Stages);
    }
    for program in state.options.stages.clone() {
        let tool = start(node, &program.path, "apply")?;
        // Before its end, not after: an interrupted apply has left something to release, too.
        state.applied_stages.push(program.clone());
        let [document] = documents(node, [tool], OnStopSignal::Terminate, None)?;
        engines.push(document.engine.clone());
        state.writer.keep(&program.name, document);
    }
    Ok(engines)
}

/// Releases what was applied, the last one first. Each is tried, even if the one before it failed; at `limit` it is killed.
pub(super) fn release(node: &mut Node, state: &mut RunState, limit: impl Fn() -> Duration) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !state.applied_stages.is_empty() {
        state.writer.begin(Stage::ReleaseStages);
    }
    while let Some(program) = state.applied_stages.pop() {
        let ended = start(node, &program.path, "release").map_err(StopReason::from).and_then(|tool| {
            let [document] = documents(node, [tool], OnStopSignal::RunToEnd, Some(limit()))?;
            Ok(document)
        });
        match ended {
            Ok(document) => state.writer.keep(&format!("{RELEASE}{}", program.name), document),
            Err(reason) => faults.push(reason.into_fault()),
        }
    }
    faults
}

fn start(node: &mut Node, path: &Path, verb: &str) -> Result<ToolProcess, Fault> {
    ToolProcess::start(node, command(path, verb)).map_err(|error| sibling::not_executed(path, &error))
}

/// A stage is the user's, and so is what it reads: it has the whole environment, which our own tools have not.
fn command(path: &Path, verb: &str) -> Command {
    let mut command = Command::new(path);
    command.arg(verb).env("DIND_OUTPUT", "json");
    command
}
