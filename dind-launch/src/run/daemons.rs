//! The start of dockerd beside that of containerd, or after it.
//!
//! An engine before 29 blocks until its containerd serves, and nothing else depends on which of them is first. From 29 on it does not
//! (moby, daemon.go: no `grpc.WithBlock`). It exits where it asks containerd for its snapshotters; otherwise it takes containers that
//! have ended to be running, or misses the end of the first one. So it starts when containerd answers, unless there is nothing
//! yet that could go wrong: on a new data root, whose images will be in containerd, it starts beside it, which is a fifth of the whole
//! start; and a second time where it has exited too early.

use super::state::RunState;
use crate::TOOL;
use crate::engine::daemon::{DaemonKind, wait_ready};
use crate::fault;
use crate::paths::containerd_socket;
use crate::process::{Node, StopReason};
use dind_contract::Fault;
use dind_contract::finish::log;
use dind_system::EngineVersion;

/// Starts dockerd, and waits until it answers.
///
/// # Errors
/// Those of [`RunState::start_daemon`] and [`wait_ready`].
pub(super) fn start_dockerd(
    node: &mut Node,
    state: &mut RunState,
    version: EngineVersion,
) -> Result<(), StopReason> {
    let blocks = version.is_at_least(29, 0) == Some(false);
    if !blocks && !is_new(state) {
        wait_for(node, state, DaemonKind::Containerd)?;
    }
    state.start_daemon(node, DaemonKind::Dockerd)?;
    match wait_for(node, state, DaemonKind::Dockerd) {
        Err(StopReason::Fault(fault)) if !blocks && was_too_early(&fault) => {
            log(TOOL, "warning", "dockerd exited before containerd answered; it is started again");
            // Its socket for sd_notify goes with it.
            state.dockerd = None;
            wait_for(node, state, DaemonKind::Containerd)?;
            state.start_daemon(node, DaemonKind::Dockerd)?;
            wait_for(node, state, DaemonKind::Dockerd)
        }
        outcome => outcome,
    }
}

fn wait_for(node: &mut Node, state: &mut RunState, kind: DaemonKind) -> Result<(), StopReason> {
    let limit = state.options.ready_timeout;
    match (&state.containerd, &state.dockerd, kind) {
        (Some(containerd), _, DaemonKind::Containerd) => wait_ready(node, containerd, None, limit).map(drop),
        (containerd, Some(dockerd), DaemonKind::Dockerd) => {
            wait_ready(node, dockerd, containerd.as_ref(), limit).map(drop)
        }
        _ => Ok(()),
    }
}

/// Whether the data root has had no container yet, and its images will be in containerd.
fn is_new(state: &RunState) -> bool {
    let storage = state.writer.record.documents.get("storage");
    storage.is_some_and(|storage| storage.result["store"]["name"] == "containerd")
        && !state.data_root.join("containers").exists()
}

/// Whether dockerd's last lines say that nobody listened where containerd will.
fn was_too_early(fault: &Fault) -> bool {
    let dial = format!("dial unix {}", containerd_socket().display());
    fault.code == fault::ENGINE_DIED && fault.causes.iter().any(|cause| cause.contains(&dial))
}
