//! The paths of a node. A leaf, so that every part of the tool may use them.

use std::path::{Path, PathBuf};

/// Our own files; they do not outlive the container.
pub const RUN_DIR: &str = "/run/dind";

/// Where the engine's log goes with `LOG=file`, as with the predecessors.
pub const LOG_FILE: &str = "/var/log/docker.log";

/// The socket of the engine's API, where every Docker client looks for it.
pub const SOCKET: &str = "/var/run/docker.sock";

/// dockerd's pid file.
#[must_use]
pub fn pid_file() -> PathBuf {
    Path::new(RUN_DIR).join("docker.pid")
}

/// Where containerd keeps the state of running containers.
#[must_use]
pub fn state_dir() -> PathBuf {
    Path::new(RUN_DIR).join("containerd")
}

/// The socket of containerd's API.
#[must_use]
pub fn containerd_socket() -> PathBuf {
    Path::new(RUN_DIR).join("containerd.sock")
}
