//! What killed daemons have left in /run: what of it is removed, and when.

use super::daemon::DaemonKind;
use super::readiness::listens;
use crate::fault;
use crate::paths::{PID_FILE, RUN_DIR, SOCKET, containerd_socket, state_dir};
use dind_contract::Fault;
use dind_system::{Process, Root, proc};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};

/// Removes what the engine of an earlier run of this container has left in /run.
///
/// # Errors
/// [`fault::ALREADY_RUNNING`]: an engine that is not ours answers.
pub fn remove_stale_state(root: &Root) -> Result<(), Fault> {
    if listens(Path::new(SOCKET)) {
        return Err(occupied(Process::that_listens_at(Path::new(SOCKET)).ok().as_ref()));
    }
    drop(remove(root));
    Ok(())
}

/// The same for an entrypoint that is a shell script, which may call us again while its engine runs. Returns what was removed.
#[must_use]
pub fn remove_unless_an_engine_runs(root: &Root) -> Vec<PathBuf> {
    // The engine may listen elsewhere; its pid file is at its usual place all the same.
    let named = fs::read_to_string(PID_FILE).ok().and_then(|text| text.trim().parse().ok());
    let runs = named
        .and_then(|pid| Process::open(Pid::from_raw(pid)).ok())
        .filter(|found| found.name() == "dockerd");
    if runs.is_some() || listens(Path::new(SOCKET)) { Vec::new() } else { remove(root) }
}

fn remove(root: &Root) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    removed.extend(fs::remove_file(PID_FILE).is_ok().then(|| PID_FILE.into()));
    removed.extend(fs::remove_file(SOCKET).is_ok().then(|| SOCKET.into()));
    let mounts = proc::mounts(root).unwrap_or_default();
    // containerd's state, and dockerd's: runc keeps a directory there for each container, and creates no
    // container whose directory exists. Below it is the state of a containerd that dockerd has started itself.
    for state in [state_dir(), "/var/run/docker".into()] {
        let state = fs::canonicalize(&state).unwrap_or(state);
        let is_mounted = mounts.iter().any(|mount| mount.point.starts_with(&state));
        removed.extend((!is_mounted && fs::remove_dir_all(&state).is_ok()).then_some(state));
    }
    removed
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
pub fn remove_stale_sockets(kind: DaemonKind, pid_file: &Path) {
    let stale = match kind {
        DaemonKind::Containerd => vec![containerd_socket(), Path::new(RUN_DIR).join("containerd.sock.ttrpc")],
        DaemonKind::Dockerd => vec![SOCKET.into(), pid_file.to_owned()],
    };
    for file in stale {
        let _ = fs::remove_file(file);
    }
}
