//! How dockerd is started.

use super::daemon::{Daemon, DaemonKind, Programs, spawn};
use crate::paths::{RUN_DIR, SOCKET, containerd_socket, pid_file, write_private};
use crate::process::{Node, init_failed};
use dind_contract::Fault;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What dockerd is started with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The merged `daemon.json`.
    pub config: Map<String, Value>,
    /// Sockets beside the node's own.
    pub hosts: Vec<String>,
    /// More words of the user's, passed literally.
    pub words: Vec<String>,
    /// Directories that go to the front of its `PATH`.
    pub path_prepend: Vec<PathBuf>,
}

/// Starts dockerd.
///
/// # Errors
/// Its settings cannot be written, or it cannot be executed.
pub fn start(
    node: &mut Node,
    programs: &Programs,
    settings: &Settings,
    data_root: &Path,
) -> Result<Daemon, Fault> {
    let file = Path::new(RUN_DIR).join("daemon.json");
    let text = format!("{:#}\n", json!(settings.config));
    write_private(&file, text.as_bytes())
        .map_err(|error| init_failed(format_args!("cannot write `{}`", file.display()), &error))?;
    let mut command = Command::new(&programs.dockerd);
    command.arg("--config-file").arg(&file);
    command.arg("--containerd").arg(containerd_socket());
    command.arg("--pidfile").arg(pid_file());
    let own = format!("unix://{SOCKET}");
    for host in std::iter::once(&own).chain(settings.hosts.iter().filter(|host| **host != own)) {
        command.arg("--host").arg(host);
    }
    command.args(&settings.words);
    spawn(node, DaemonKind::Dockerd, command, &settings.path_prepend, data_root)
}
