//! The certificates of the engine's TCP socket. Our own verb makes them, as a shell script would have it, beside storage and network;
//! PID 1 itself knows nothing of keys. They are waited for before dockerd starts, which reads them only then.

use super::state::RunState;
use crate::process::sibling::{self, documents};
use crate::process::tool::{OnStopSignal, ToolProcess};
use crate::process::{Node, StopReason, init_failed};
use crate::stage::Stage;
use crate::tls::TlsOptions;
use crate::tls::name::Name;
use dind_contract::Fault;

/// Starts `tls plan`, where TLS is asked for: what is wrong with a CA is found before anything changes.
///
/// # Errors
/// [`crate::fault::TOOL_BROKEN`].
pub(super) fn start_plan(node: &mut Node, state: &RunState) -> Result<Option<ToolProcess>, Fault> {
    run(node, &state.options.tls, "plan", sibling::start_quiet)
}

/// Waits for its answer.
///
/// # Errors
/// [`crate::fault::SETTINGS_REFUSED`]; the signal that asks the node to stop.
pub(super) fn finish_plan(node: &mut Node, plan: Option<ToolProcess>) -> Result<(), StopReason> {
    if let Some(plan) = plan {
        documents(node, [plan], OnStopSignal::Terminate, None)?;
    }
    Ok(())
}

/// Starts `tls apply`, where TLS is asked for.
///
/// # Errors
/// [`crate::fault::TOOL_BROKEN`].
pub(super) fn start(node: &mut Node, state: &mut RunState) -> Result<(), Fault> {
    state.tls_process = run(node, &state.options.tls, "apply", sibling::start)?;
    Ok(())
}

/// Waits until the certificates are in place. The time of the stage is that of the wait alone.
///
/// # Errors
/// They could not be made; the signal that asks the node to stop.
pub(super) fn finish(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    // What is not waited for here is the shutdown's to end. A kill does no harm: the files are written all or not at all.
    let Some(tool) = state.tls_process.take() else { return Ok(()) };
    state.writer.begin(Stage::Tls);
    let [document] = documents(node, [tool], OnStopSignal::Terminate, None)?;
    state.writer.keep("tls", document);
    Ok(())
}

type Start = fn(&mut Node, &std::path::Path, &[&str], &[(&str, &str)]) -> Result<ToolProcess, Fault>;

fn run(
    node: &mut Node,
    options: &TlsOptions,
    verb: &str,
    start: Start,
) -> Result<Option<ToolProcess>, Fault> {
    let Some(directory) = options.directory.as_deref().and_then(std::path::Path::to_str) else {
        return Ok(None);
    };
    let own = std::env::current_exe().map_err(|error| init_failed("cannot read `/proc/self/exe`", &error))?;
    let names: Vec<_> = options.names.iter().map(Name::to_string).collect();
    let variables = [("DOCKER_TLS_CERTDIR", directory), ("DOCKER_TLS_SAN", &names.join(","))];
    start(node, &own, &["tls", verb], &variables).map(Some)
}
