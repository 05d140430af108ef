//! `DIND_EVIDENCE`: `dind-reaper evidence` runs beside the node, and gets the engine's log on its stdin. Nothing that goes wrong with
//! it is more than a warning.

use super::state::RunState;
use crate::TOOL;
use crate::process::Node;
use crate::process::sibling::{self, documents};
use crate::process::tool::{OnStopSignal, ToolProcess, wait_all};
use crate::stage::Stage;
use dind_contract::finish::log_warning;
use dind_contract::{Fault, Warning};
use nix::unistd::gethostname;
use std::io;
use std::process::Stdio;
use std::time::Duration;

/// What the end of it may take even when the budget is spent. It takes some milliseconds.
const AT_LEAST: Duration = Duration::from_millis(300);

/// Starts it, where evidence is wanted.
pub(super) fn start(node: &mut Node, state: &mut RunState) {
    let Some(args) = args(state, &[]) else { return };
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let host = format!("unix://{}", state.writer.record.socket.display());
    let command = sibling::command(&state.tools.reaper, &args, &[("DOCKER_HOST", &host)]);
    let started = io::pipe().and_then(|(reader, writer)| {
        let tool = ToolProcess::start_in_pipe(node, command, Stdio::from(reader), Stdio::piped())?;
        node.log.copy_to(writer);
        Ok(tool)
    });
    match started {
        Ok(tool) => state.evidence = Some(tool),
        Err(error) => warn(
            state,
            &format!("cannot execute `dind-reaper evidence`: {error}"),
            "install the dind tools again",
        ),
    }
}

/// The words of its command line; nothing where no evidence is wanted.
fn args(state: &RunState, more: &[&str]) -> Option<Vec<String>> {
    let (directory, size) = state.options.evidence.as_ref()?;
    let record = &state.writer.record;
    let host = gethostname().unwrap_or_default();
    let name = format!("{}-{}", host.to_string_lossy(), record.started_unix_ms);
    let mut args: Vec<String> = ["evidence", "--dir"].map(str::to_owned).into();
    args.push(directory.display().to_string());
    args.extend(["--name".to_owned(), name, "--data-root".to_owned(), state.data_root.display().to_string()]);
    args.extend(size.iter().flat_map(|size| ["--size".to_owned(), size.clone()]));
    args.extend(more.iter().map(|word| (*word).to_owned()));
    Some(args)
}

/// Looks whether it has ended while the node runs, which it should not.
pub(super) fn notice_end(node: &mut Node, state: &mut RunState) {
    let ended = state.evidence.take_if(|tool| node.exit_status(tool.child()).is_some());
    let Some(mut tool) = ended else { return };
    while tool.stdout().is_some() {
        tool.read_stdout();
    }
    node.log.end_copy();
    let (cause, hint) = match sibling::document(node, &tool) {
        Ok(_) => ("it has ended".to_owned(), "see its lines in the log".to_owned()),
        Err(fault) => (fault.to_string(), fault.hint),
    };
    warn(state, &format!("no more evidence is written: {cause}"), &hint);
}

/// Waits for it to write what is left, when the engine has ended.
pub(super) fn finish(node: &mut Node, state: &mut RunState, limit: Duration) {
    node.log.drain();
    node.log.end_copy();
    let Some(tool) = state.evidence.take() else { return };
    state.writer.begin(Stage::CollectEvidence);
    match documents(node, [tool], OnStopSignal::RunToEnd, Some(limit.max(AT_LEAST))) {
        Ok([document]) => state.writer.keep("evidence", document),
        Err(reason) => {
            let fault: Fault = reason.into_fault();
            warn(state, &format!("evidence is not complete: {fault}"), &fault.hint);
        }
    }
}

/// Copies the last record. Another process does it: the directory may be on a disk that does not answer.
pub(super) fn copy_record(node: &mut Node, state: &RunState) {
    let Some(args) = args(state, &["--record-only"]) else { return };
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    if let Ok(tool) = sibling::start(node, &state.tools.reaper, &args, &[]) {
        let _ = wait_all(node, &mut [tool], OnStopSignal::RunToEnd, Some(AT_LEAST));
    }
}

fn warn(state: &mut RunState, message: &str, hint: &str) {
    let warning = Warning::new("evidence-missing", message, hint);
    log_warning(TOOL, &warning);
    state.writer.record.warnings.push(warning);
}
