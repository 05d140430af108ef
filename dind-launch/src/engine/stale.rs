//! What killed daemons have left in /run: what of it is removed, and when.

use super::daemon::DaemonKind;
use super::readiness::listens;
use crate::fault;
use crate::paths::{RUN_DIR, SOCKET, containerd_socket, pid_file, state_dir};
use dind_contract::Fault;
use dind_system::process::Process;
use dind_system::{Root, proc};
use std::fs;
use std::path::Path;

/// Removes what the engine of an earlier run of this container has left in /run.
///
/// # Errors
/// [`fault::ALREADY_RUNNING`]: an engine that is not ours answers.
pub fn remove_stale_state(root: &Root) -> Result<(), Fault> {
    if listens(Path::new(SOCKET)) {
        return Err(occupied(Process::that_listens_at(Path::new(SOCKET)).ok().as_ref()));
    }
    let _ = fs::remove_file("/var/run/docker.pid");
    let mounts = proc::mounts(root).unwrap_or_default();
    // containerd's state, and dockerd's: runc keeps a directory there for each container, and creates no
    // container whose directory exists.
    for state in [state_dir(), "/var/run/docker".into()] {
        let state = fs::canonicalize(&state).unwrap_or(state);
        if !mounts.iter().any(|mount| mount.point.starts_with(&state)) {
            let _ = fs::remove_dir_all(&state);
        }
    }
    Ok(())
}

/// `engine` is nothing where it runs in another PID namespace.
fn occupied(engine: Option<&Process>) -> Fault {
    let fault = |cause: &str| fault::ALREADY_RUNNING.cannot("start an engine on", SOCKET, cause);
    match engine {
        Some(engine) => {
            let (name, pid) = (engine.name(), engine.pid());
            let fault = fault(&format!("another engine answers there: {name}, pid {pid}"));
            fault.hint(format!("stop it: kill -TERM {pid}"))
        }
        None => fault("an engine outside of this container answers there")
            .hint("do not mount the host's Docker socket into a node"),
    }
}

/// Removes what a killed daemon has left. dockerd waits for a stale socket in steps of a second, and a stale pid file may name
/// a process that has nothing to do with it (reproduced in 4 of 5 kills of the outer container).
pub fn remove_stale_sockets(kind: DaemonKind) {
    let stale = match kind {
        DaemonKind::Containerd => vec![containerd_socket(), Path::new(RUN_DIR).join("containerd.sock.ttrpc")],
        DaemonKind::Dockerd => vec![SOCKET.into(), pid_file()],
    };
    for file in stale {
        let _ = fs::remove_file(file);
    }
}
