//! How containerd is started.

use super::daemon::{Daemon, DaemonKind, Programs, spawn};
use crate::paths::{RUN_DIR, containerd_socket, state_dir};
use crate::process::{Node, init_failed};
use dind_contract::Fault;
use dind_system::build_info::containerd_settings;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Plugins of containerd that no Docker Engine uses, by their names in containerd 1 and 2: the one for Kubernetes, and
/// snapshotters that without settings of their own only warn that they are missing, one of them after a modprobe.
const UNUSED_PLUGINS: [&str; 8] = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.runtime",
    "io.containerd.cri.v1.images",
    "io.containerd.grpc.v1.sandbox-controllers",
    "io.containerd.podsandbox.controller.v1.podsandbox",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.devmapper",
];

/// Starts containerd. Its persistent part lies where dockerd's own containerd would have it, so that a data root can
/// change hands between the two.
///
/// # Errors
/// Its settings cannot be written, or it cannot be executed.
pub fn start(node: &mut Node, programs: &Programs, data_root: &Path) -> Result<Daemon, Fault> {
    let file = Path::new(RUN_DIR).join("containerd.toml");
    let settings = settings(containerd_settings(&programs.containerd), data_root);
    fs::write(&file, settings)
        .map_err(|error| init_failed(format_args!("cannot write `{}`", file.display()), &error))?;
    let mut command = Command::new(&programs.containerd);
    command.arg("--config").arg(&file);
    spawn(node, DaemonKind::Containerd, command, &[], data_root)
}

/// The settings, in the form of this version.
fn settings(version: u32, data_root: &Path) -> String {
    let socket = containerd_socket();
    let address = toml(&socket);
    let server = if version < 4 {
        // The second socket, which shims report to, is called after the first.
        format!("[grpc]\naddress = {address}")
    } else {
        let reports = Value::String(format!("{}.ttrpc", socket.display()));
        format!(
            "[plugins.'io.containerd.server.v1.grpc']\naddress = {address}\n[plugins.'io.containerd.server.v1.ttrpc']\naddress = {reports}"
        )
    };
    format!(
        "version = {version}\nroot = {root}\nstate = {state}\ndisabled_plugins = {disabled}\n[debug]\nlevel = \"warn\"\n{server}\n",
        root = toml(&data_root.join("containerd/daemon")),
        state = toml(&state_dir()),
        disabled = json!(UNUSED_PLUGINS),
    )
}

/// A TOML basic string takes JSON's escapes.
fn toml(path: &Path) -> Value {
    Value::String(path.display().to_string())
}
