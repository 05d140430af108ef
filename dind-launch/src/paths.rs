//! Where things of a node lie. Constants only, so that every part of the tool may use them.

use std::path::{Path, PathBuf};

/// Everything of ours that is gone with the container.
pub const RUN_DIR: &str = "/run/dind";

/// Where the engine's log goes with `LOG=file`, as with the predecessors.
pub const LOG_FILE: &str = "/var/log/docker.log";

/// The engine's API, where every Docker client looks.
pub const SOCKET: &str = "/var/run/docker.sock";

/// dockerd's pid file.
#[must_use]
pub fn pid_file() -> PathBuf {
    Path::new(RUN_DIR).join("docker.pid")
}

/// What containerd keeps of running containers.
#[must_use]
pub fn state_dir() -> PathBuf {
    Path::new(RUN_DIR).join("containerd")
}

/// containerd's API.
#[must_use]
pub fn containerd_socket() -> PathBuf {
    Path::new(RUN_DIR).join("containerd.sock")
}
