//! Where the private engine keeps what, and the few values that its processes have in common.

use crate::workspace::Workspace;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The private network's range towards the machine: from RFC 2544 (198.18.0.0/15), which nobody's network uses.
pub(super) const UPLINK_RANGE: &str = "198.18.0.0/24";

/// slirp4netns answers here and asks the machine's own name server.
pub(super) const NAME_SERVER: &str = "198.18.0.3";

/// How long another engine of this checkout may take to end, in seconds.
pub(super) const LOCK_TIME: &str = "60";

/// Where the private engine keeps what.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Sockets and pid files, on the machine's /run.
    pub run: PathBuf,
    /// Data root, log and state.
    pub engine: PathBuf,
    /// The state file; exists while an engine runs.
    pub state: PathBuf,
    /// The control group, as in `--cgroup-parent`.
    pub cgroup: String,
}

impl Paths {
    /// The paths of this checkout's engine.
    pub fn of(workspace: &Workspace) -> Self {
        let engine = workspace.engine();
        Self {
            run: workspace.run_dir(),
            state: engine.join("engine.json"),
            cgroup: format!("/{}", workspace.engine_name()),
            engine,
        }
    }

    pub(super) fn daemon_json(&self) -> PathBuf {
        self.engine.join("daemon.json")
    }
    pub(super) fn data(&self) -> PathBuf {
        self.engine.join("data")
    }
    pub(super) fn lock(&self) -> PathBuf {
        self.engine.join("lock")
    }
    pub(super) fn users(&self) -> PathBuf {
        self.engine.join("users")
    }
    pub(super) fn kept(&self) -> PathBuf {
        self.engine.join("kept")
    }
    pub(super) fn log(&self) -> PathBuf {
        self.engine.join("engine.log")
    }
    pub(super) fn notify(&self) -> PathBuf {
        self.run.join("notify")
    }
    pub(super) fn outside(&self) -> PathBuf {
        self.engine.join("run")
    }
    /// For `DOCKER_HOST`.
    pub fn docker_host(&self) -> String {
        format!("unix://{}/docker.sock", self.run.display())
    }

    /// Removes all containers with their volumes, and all networks. What it prints goes to the engine's log.
    pub(super) fn remove_contents(&self) -> Command {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >&2; docker network prune --force >&2",
        ]);
        shell.env("DOCKER_HOST", self.docker_host()).stdin(Stdio::null());
        shell
    }
}
