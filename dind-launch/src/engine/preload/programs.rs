//! The programs that do the work: the Docker client, and those that read archives.

use crate::fault;
use crate::paths::SOCKET;
use crate::process::tool::{OnStopSignal, ToolProcess, wait_all};
use crate::process::{Node, StopReason};
use dind_system::helper::HELPER_PATH;
use std::io;
use std::process::Command;

/// Runs a program whose stderr nobody sees, and returns its exit status and what it has printed.
///
/// # Errors
/// It cannot be started; the node is to stop.
pub(super) fn ask(node: &mut Node, name: &str, command: Command) -> Result<(u8, String), StopReason> {
    let started = ToolProcess::start_quiet(node, command);
    let tool = &finish(node, vec![(name, started)])?[0];
    Ok((tool.status(node), tool.output()))
}

/// Waits for programs that run at once.
pub(super) fn finish(
    node: &mut Node,
    started: Vec<(&str, io::Result<ToolProcess>)>,
) -> Result<Vec<ToolProcess>, StopReason> {
    let mut tools = Vec::new();
    for (program, tool) in started {
        tools.push(tool.map_err(|error| {
            fault::PRELOAD_FAILED
                .cannot("execute", program, error)
                .hint("install the Docker client in the image")
        })?);
    }
    wait_all(node, &mut tools, OnStopSignal::Terminate, None)?;
    Ok(tools)
}

/// The Docker client, without the user's own settings for it: those are for another engine. Through a socket of another kind
/// than unix it needs them.
pub(super) fn client() -> Command {
    let mut command = Command::new("docker");
    let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    if host.as_ref().is_none_or(|host| host.starts_with("unix:")) {
        let host = host.unwrap_or_else(|| format!("unix://{SOCKET}"));
        command.env_clear().env("PATH", HELPER_PATH).env("DOCKER_HOST", host);
        // A configuration of root's may name another context, or plug-ins.
        command.env("DOCKER_CONFIG", "/nonexistent");
    }
    command
}
