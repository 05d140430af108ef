//! The paths of a node, and how its own files are written. A leaf, so that every part of the tool may use them.

use dind_system::helper::HELPER_PATH;
use dind_system::{Root, program};
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Our own files; they do not outlive the container.
pub const RUN_DIR: &str = "/run/dind";

/// Where the engine's log goes with `LOG=file`, as with the predecessors.
pub const LOG_FILE: &str = "/var/log/docker.log";

/// Where the engine keeps its data unless it is told otherwise.
pub const DATA_ROOT: &str = "/var/lib/docker";

/// The socket of the engine's API, where every Docker client looks for it.
pub const SOCKET: &str = "/var/run/docker.sock";

/// dockerd's own pid file.
pub const PID_FILE: &str = "/var/run/docker.pid";

/// The entrypoint of docker:dind; in our image it is a link to this program.
pub const ENTRYPOINT: &str = "dockerd-entrypoint.sh";

/// A program on PATH, or where programs usually are. Below another root than the machine's, PATH is the usual one.
#[must_use]
pub fn program(root: &Root, name: &str) -> Option<PathBuf> {
    if root.is_host() {
        return program::find(name);
    }
    std::env::split_paths(HELPER_PATH).map(|directory| directory.join(name)).find(|path| root.exists(path))
}

/// dockerd's pid file, unless the user has another one. It is dockerd's own default, so that a second dockerd finds it: that one
/// ends at once, and leaves the socket of the first alone.
#[must_use]
pub fn pid_file() -> PathBuf {
    PID_FILE.into()
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

/// Writes a file that root alone can read: settings and environments hold passwords of proxies and registries.
///
/// # Errors
/// Those of open and write.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // The mode is for new files alone, and an image may bring this one.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(content)
}
