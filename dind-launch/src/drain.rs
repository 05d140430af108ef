//! `drain`: blocks until no inner container runs any more. `dind-reaper drain` does the work, for the engine of this node.

use crate::options::timeout;
use crate::paths::DATA_ROOT;
use crate::process::sibling::{self, Tools};
use crate::process::tool::{OnStopSignal, ToolProcess, wait_all};
use crate::process::{Node, StopReason};
use crate::{fault, status};
use dind_contract::{Code, Draft, ExitCode, Failure, Fault, Outcome, Report};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is left after a drain; empty unless it is an error, whose `details` has the same fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drained {
    /// How long it took, in milliseconds.
    pub waited_ms: u64,
    /// The containers that still run, sorted by name.
    pub left: Vec<Left>,
}

/// A container that still runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LeftContainer")]
pub struct Left {
    /// The full id.
    pub id: String,
    /// Its name; the id where no engine says which.
    pub name: String,
}

/// Waits; without a timeout for as long as it takes. Where no engine runs, there is nothing to wait for.
///
/// # Errors
/// [`fault::CONTAINERS_LEFT`]: at the timeout, or when a signal ended the wait. [`fault::DURATION_INVALID`]; those of reading the
/// record, and of dind-reaper.
pub fn drain(limit: Option<&String>) -> Outcome<Drained> {
    timeout(limit)?;
    let record = match status::observe() {
        Ok(record) if record.state.has_ended() => return Ok(Draft::default()),
        Ok(record) => record,
        Err(fault) if fault.code == fault::NOT_RUNNING => return Ok(Draft::default()),
        Err(fault) => return Err(fault.into()),
    };
    let reaper = match record.tools {
        Some(tools) => tools.reaper,
        None => Tools::find(None)?.reaper,
    };
    let data_root = record.daemon_json.get("data-root").and_then(Value::as_str).unwrap_or(DATA_ROOT);
    let mut args = vec!["drain", "--data-root", data_root];
    args.extend(limit.iter().flat_map(|limit| ["--timeout", limit]));
    let host = format!("unix://{}", record.socket.display());
    let mut node = Node::without_engine()?;
    let tool = sibling::start_quiet(&mut node, &reaper, &args, &[("DOCKER_HOST", &host)])?;
    let mut tools = [tool];
    match wait_all(&mut node, &mut tools, OnStopSignal::Terminate, None) {
        // It says what is left.
        Ok(()) | Err(StopReason::Signal(_)) => outcome(&node, &tools[0]),
        Err(reason) => Err(reason.into_fault().into()),
    }
}

fn outcome(node: &Node, tool: &ToolProcess) -> Outcome<Drained> {
    let output = tool.output();
    if let Ok(report) = serde_json::from_str::<Report<Drained>>(&output) {
        return Ok(Draft { result: report.result, warnings: report.warnings, ..Draft::default() });
    }
    let Ok(Failure { error, .. }) = serde_json::from_str::<Failure>(&output) else {
        // It says what is wrong with the tool.
        return sibling::document(node, tool).map(|_| Draft::default()).map_err(Into::into);
    };
    let exit = ExitCode::from_status(tool.status(node)).unwrap_or(fault::STAGE_FAILED.exit);
    let code = if error.code == fault::CONTAINERS_LEFT.name {
        fault::CONTAINERS_LEFT
    } else {
        Code { exit, ..fault::STAGE_FAILED }
    };
    let causes = if code == fault::CONTAINERS_LEFT { error.causes } else { vec![error.code] };
    Err(Fault { code, message: error.message, causes, hint: error.hint, details: error.details }.into())
}
