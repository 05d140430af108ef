//! How dockerd is started.

use super::daemon::{Daemon, DaemonKind, Programs, spawn};
use crate::paths::{RUN_DIR, SOCKET, containerd_socket, write_private};
use crate::process::{Node, init_failed};
use dind_contract::Fault;
use nix::unistd::{AccessFlags, access};
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
    /// Where it writes its pid.
    pub pid_file: PathBuf,
    /// Directories that go to the front of its `PATH`.
    pub path_prepend: Vec<PathBuf>,
}

/// Its settings, merged.
#[must_use]
pub fn settings_file() -> PathBuf {
    Path::new(RUN_DIR).join("daemon.json")
}

/// Writes them.
///
/// # Errors
/// They cannot be written.
pub fn write_settings(config: &Map<String, Value>) -> Result<(), Fault> {
    let file = settings_file();
    let text = format!("{:#}\n", json!(config));
    write_private(&file, text.as_bytes())
        .map_err(|error| init_failed(format_args!("cannot write `{}`", file.display()), &error))
}

/// Where engines before 24 identify themselves by a key, and make one where there is none.
const KEY: &str = "/etc/docker/key.json";

/// Another place for that key where it cannot be made: a read-only root, or a ConfigMap mounted at /etc/docker. Newer engines take
/// the setting, and ignore it.
pub fn place_key(config: &mut Map<String, Value>) {
    let Some(directory) = Path::new(KEY).ancestors().skip(1).find(|path| path.exists()) else { return };
    let writable = Path::new(KEY).exists() || access(directory, AccessFlags::W_OK).is_ok();
    let elsewhere = Path::new(RUN_DIR).join("key.json").display().to_string();
    if !writable {
        config.entry("deprecated-key-path").or_insert_with(|| json!(elsewhere));
    }
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
    write_settings(&settings.config)?;
    let mut command = Command::new(&programs.dockerd);
    command.arg("--config-file").arg(settings_file());
    command.arg("--containerd").arg(containerd_socket());
    command.arg("--pidfile").arg(&settings.pid_file);
    let own = format!("unix://{SOCKET}");
    for host in std::iter::once(&own).chain(&settings.hosts) {
        command.arg("--host").arg(host);
    }
    command.args(&settings.words);
    spawn(node, DaemonKind::Dockerd, command, &settings.path_prepend, data_root)
}
