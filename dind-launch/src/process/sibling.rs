//! The sibling tools: found, run as programs, and understood by their documents. The launcher does nothing with them that
//! a shell script could not do.

use super::tool::{OnStopSignal, ToolProcess, wait_all};
use super::{Node, StopReason};
use crate::fault;
use dind_contract::{Code, ExitCode, Failure, Fault, Report};
use dind_system::program;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A document with a result of any shape: the launcher passes on what it does not need to understand.
pub type Document = Report<Value>;

/// What a program of the user's is held to.
const CONTRACT: &str =
    "it must print one JSON document on stdout, and nothing else (dind-launch/contract/README.md)";

/// Whether a program is one of ours.
fn is_sibling(name: &str) -> bool {
    name.starts_with("dind-")
}

/// Where the sibling tools are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tools {
    /// `dind-storage`.
    pub storage: PathBuf,
    /// `dind-net`.
    pub net: PathBuf,
    /// `dind-reaper`.
    pub reaper: PathBuf,
}

impl Tools {
    /// Looks in the named directory; without one, beside this program and then on PATH.
    ///
    /// # Errors
    /// [`fault::TOOL_MISSING`].
    pub fn find(directory: Option<&Path>) -> Result<Self, Fault> {
        let one = |name| find(name, directory);
        Ok(Self { storage: one("dind-storage")?, net: one("dind-net")?, reaper: one("dind-reaper")? })
    }
}

fn find(name: &str, directory: Option<&Path>) -> Result<PathBuf, Fault> {
    let own = std::env::current_exe().ok();
    let beside = directory.or(own.as_deref().and_then(Path::parent));
    let here = beside.map(|directory| directory.join(name)).filter(|path| path.is_file());
    let found = if directory.is_some() { here } else { here.or_else(|| program::on_path(name)) };
    found.ok_or_else(|| {
        let place = directory.map_or_else(|| "PATH".to_owned(), |directory| directory.display().to_string());
        fault::TOOL_MISSING
            .cannot("find", name, format!("it is not in {place}"))
            .hint("put the four dind tools into one directory, or name it with --tools")
    })
}

/// Starts a verb of a sibling tool that changes something. Its stderr is ours, for people.
///
/// # Errors
/// [`fault::TOOL_BROKEN`]: it cannot be executed.
pub fn start(
    node: &mut Node,
    tool: &Path,
    args: &[&str],
    variables: &[(&str, &str)],
) -> Result<ToolProcess, Fault> {
    ToolProcess::start(node, command(tool, args, variables)).map_err(|error| not_executed(tool, &error))
}

/// Starts a verb of a tool whose stderr nobody sees: what it says is in its document.
///
/// # Errors
/// [`fault::TOOL_BROKEN`]: it cannot be executed.
pub fn start_quiet(
    node: &mut Node,
    tool: &Path,
    args: &[&str],
    variables: &[(&str, &str)],
) -> Result<ToolProcess, Fault> {
    ToolProcess::start_quiet(node, command(tool, args, variables)).map_err(|error| not_executed(tool, &error))
}

/// The plans of dind-storage and dind-net for the machine below `root`, in this order; both run at once. Nobody sees their stderr:
/// an `apply` repeats the warnings, and an error becomes ours.
///
/// # Errors
/// [`fault::SETTINGS_REFUSED`]: one of them could not produce a plan. [`fault::TOOL_BROKEN`]. The signal that asks the node to stop.
pub fn plans(
    node: &mut Node,
    tools: &Tools,
    root: &str,
    variables: &[(&str, &str)],
) -> Result<[Document; 2], StopReason> {
    let mut start = |tool: &Path| start_quiet(node, tool, &["plan", "--root", root], variables);
    let plans = [start(&tools.storage)?, start(&tools.net)?];
    documents(node, plans, OnStopSignal::Terminate, None)
}

/// The command line of a sibling tool, in an environment of ours.
pub fn command(tool: &Path, args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(tool);
    let ours = std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy()));
    let ours: Vec<_> = ours.collect();
    command.args(args).env_clear().envs(ours).envs(variables.iter().copied()).env("DIND_OUTPUT", "json");
    command
}

/// Whether the tools get a variable of our environment. What is meant for the main process and its programs is not: a setting of
/// its Docker client, a library to preload.
fn is_ours(name: &str) -> bool {
    name == "PATH"
        || ["DIND_", "DOCKER_NETWORK_", "VAR_LIB_DOCKER_"].iter().any(|prefix| name.starts_with(prefix))
}

/// The fault of a tool that cannot be executed.
pub fn not_executed(tool: &Path, error: &std::io::Error) -> Fault {
    let ours = tool.file_name().is_some_and(|name| is_sibling(&name.to_string_lossy()));
    let usual = if ours {
        "install the dind tools again"
    } else {
        "check its mode, and the program that its first line names"
    };
    let hint = super::hint_of(error).unwrap_or(usual);
    fault::TOOL_BROKEN.cannot("execute", tool.display(), error).hint(hint)
}

/// Waits for sibling tools that run at once, and gives their documents in order. At `limit` they are killed.
///
/// # Errors
/// The first fault of one of them, or the signal that asks the node to stop.
pub fn documents<const N: usize>(
    node: &mut Node,
    mut tools: [ToolProcess; N],
    on_stop: OnStopSignal,
    limit: Option<Duration>,
) -> Result<[Document; N], StopReason> {
    wait_all(node, &mut tools, on_stop, limit)?;
    let mut documents = Vec::with_capacity(N);
    for tool in &tools {
        documents.push(document(node, tool)?);
    }
    documents.try_into().map_err(|_| {
        fault::TOOL_BROKEN
            .failed("cannot collect the documents of the sibling tools", "one is missing")
            .into()
    })
}

/// The document of a tool that has finished.
///
/// # Errors
/// The tool's own fault, or [`fault::TOOL_BROKEN`]: it has printed no document of its schema, or was killed.
pub fn document(node: &Node, tool: &ToolProcess) -> Result<Document, Fault> {
    if let Some(after) = tool.killed_after() {
        let cause = format!("it was killed after {} ms", after.as_millis());
        let fault = fault::TOOL_BROKEN.failed(format_args!("`{}` did not end", tool.name()), cause);
        return Err(
            fault.hint("raise DIND_STOP_BUDGET if the machine is slow; the kernel's log names what hangs")
        );
    }
    let broken = |cause: String| {
        let fault = fault::TOOL_BROKEN.cannot("read the document of", tool.name(), cause);
        match (is_sibling(tool.name()), tool.is_quiet()) {
            (true, _) => {
                fault.hint("install all dind tools from one release; this tool's own messages are above")
            }
            // Of the user's own stages.
            (false, true) => fault.hint(format!("run `{} plan` in the image: {CONTRACT}", tool.name())),
            (false, false) => fault.hint(format!("its own messages are above: {CONTRACT}")),
        }
    };
    let status = tool.status(node);
    let value: Value = serde_json::from_str(tool.output().trim()).map_err(|error| {
        broken(format!("it exited with status {status}, and stdout is not JSON: {error}"))
    })?;
    let schema = format!("{}/v1", tool.name().replace('-', "."));
    if value.get("schema").and_then(Value::as_str) != Some(&schema) {
        return Err(broken(format!("its schema is not {schema}")));
    }
    if value.get("ok") == Some(&Value::Bool(false)) {
        let failure = serde_json::from_value(value).map_err(|error| broken(error.to_string()))?;
        return Err(fault_of(tool, failure, status));
    }
    if status != 0 {
        return Err(broken(format!("it reports success, and exited with status {status}")));
    }
    serde_json::from_value(value).map_err(|error| broken(error.to_string()))
}

/// A tool's own error: its code, causes and hint, under its own exit status. The message of a tool that is not quiet is on
/// stderr already, so ours names its code alone.
fn fault_of(tool: &ToolProcess, failure: Failure, status: u8) -> Fault {
    let error = failure.error;
    let (code, cause) = if tool.is_quiet() {
        (fault::SETTINGS_REFUSED, &error.message)
    } else {
        (fault::STAGE_FAILED, &error.code)
    };
    let code = Code { exit: ExitCode::from_status(status).unwrap_or(code.exit), ..code };
    let mut fault = code.failed(format_args!("`{} {}` failed", tool.name(), failure.mode), cause);
    fault.causes = std::iter::once(error.code).chain(error.causes).collect();
    fault.causes.dedup();
    fault.details = error.details;
    fault.hint(error.hint)
}
