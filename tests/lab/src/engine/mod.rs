//! The engine that everything runs on: the machine's own, or a private throw-away one.
//!
//! The private engine has its own network, mount and process namespaces, data root, sockets and control groups, and
//! reaches the network through slirp4netns in user space: no rule, link or sysctl of the machine is touched, and
//! killing its first process takes everything along.

mod cgroups;
pub(crate) mod init;
mod leftovers;
mod start;
mod state;

use crate::Result;
use crate::workspace::Workspace;
use state::State;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use xshell::{Cmd, cmd};

/// The private network's range towards the machine: from RFC 2544 (198.18.0.0/15), which nobody's network uses.
const UPLINK_RANGE: &str = "198.18.0.0/24";

/// slirp4netns answers here and asks the machine's own name server.
const NAME_SERVER: &str = "198.18.0.3";

/// How long another engine of this checkout may take to end, in seconds.
const LOCK_TIME: &str = "60";

/// Where the private engine keeps what.
#[derive(Debug)]
pub(crate) struct Places {
    /// Sockets and pid files, on the machine's /run.
    pub(crate) run: PathBuf,
    /// Data root, log and state.
    pub(crate) engine: PathBuf,
    /// The state file; exists while an engine runs.
    pub(crate) state: PathBuf,
    /// The control group, as in `--cgroup-parent`.
    pub(crate) cgroup: String,
}

impl Places {
    /// The places of this checkout's engine.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        let engine = workspace.engine();
        Self {
            run: workspace.run_dir(),
            state: engine.join("engine.json"),
            cgroup: format!("/{}", workspace.engine_name()),
            engine,
        }
    }

    fn daemon_json(&self) -> PathBuf {
        self.engine.join("daemon.json")
    }
    fn data(&self) -> PathBuf {
        self.engine.join("data")
    }
    fn lock(&self) -> PathBuf {
        self.engine.join("lock")
    }
    fn log(&self) -> PathBuf {
        self.engine.join("engine.log")
    }
    fn notify(&self) -> PathBuf {
        self.run.join("notify")
    }
    fn outside(&self) -> PathBuf {
        self.engine.join("run")
    }
    /// For `DOCKER_HOST`.
    pub(crate) fn docker_host(&self) -> String {
        format!("unix://{}/docker.sock", self.run.display())
    }

    /// Removes all containers with their volumes, and all networks; tells of it in the engine's log.
    fn remove_contents(&self) -> Command {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >&2; docker network prune --force >&2",
        ]);
        shell.env("DOCKER_HOST", self.docker_host()).stdin(Stdio::null());
        shell
    }
}

/// A running engine. A private one that this process started is stopped when this goes, unless it was kept.
#[derive(Debug)]
pub(crate) struct Engine {
    /// For `DOCKER_HOST`.
    pub(crate) host: String,
    /// A process in the network namespace where the engine's bridges are.
    pub(crate) pid: i32,
    private: Option<Places>,
    owner: Option<BufReader<UnixStream>>,
}

impl Engine {
    /// The private engine if it runs, otherwise the machine's own if it can run a node, otherwise a new private one.
    pub(crate) fn find_or_start(workspace: &Workspace) -> Result<Self> {
        match Self::find(workspace)? {
            Some(engine) => Ok(engine),
            None => start::start(workspace),
        }
    }

    /// An engine that already runs.
    pub(crate) fn find(workspace: &Workspace) -> Result<Option<Self>> {
        let places = Places::of(workspace);
        if let Some(state) = State::running(&places) {
            let host = places.docker_host();
            return Ok(Some(Self { host, pid: state.init.pid, private: Some(places), owner: None }));
        }
        let forced = std::env::var("DIND_TEST_ENGINE").is_ok_and(|engine| engine == "private");
        if forced || !crate::runtime::missing_capabilities()?.is_empty() || !own_answers(workspace) {
            return Ok(None);
        }
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        Ok(Some(Self { host, pid: std::process::id() as i32, private: None, owner: None }))
    }

    /// A docker command for this engine.
    pub(crate) fn docker<'a>(&self, workspace: &'a Workspace, args: &[&str]) -> Cmd<'a> {
        // The classic builder is in every engine of the distributions; the other one is a plugin that they lack.
        let shell = &workspace.shell;
        cmd!(shell, "docker {args...}").env("DOCKER_HOST", &self.host).env("DOCKER_BUILDKIT", "0").quiet()
    }

    /// What a docker command prints; its complaints are in the error.
    pub(crate) fn ask(&self, workspace: &Workspace, args: &[&str]) -> Result<String> {
        let output = self.docker(workspace, args).ignore_status().output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("`docker {}` failed: {complaint}", args.join(" ")).into())
    }

    /// Whether this is the throw-away one.
    pub(crate) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Lets the engine outlive this process.
    pub(crate) fn keep(&mut self) -> Result<()> {
        if let Some(mut owner) = self.owner.take() {
            writeln!(owner.get_mut(), "keep")?;
            owner.read_line(&mut String::new())?;
        }
        Ok(())
    }

    /// Keeps the engine for what is to be seen in it and tells of that; without it, removes what is there, and releases.
    pub(crate) fn keep_for(
        mut self,
        workspace: &Workspace,
        shown: Result<String>,
        remove: impl FnOnce(&Workspace, &Self) -> Result<()>,
    ) -> Result<()> {
        match shown {
            Ok(summary) => {
                self.keep()?;
                println!("{summary}");
                Ok(())
            }
            Err(error) => {
                remove(workspace, &self)?;
                self.release(workspace)?;
                Err(error)
            }
        }
    }

    /// Stops a private engine that this process started, and checks that nothing of it is left.
    pub(crate) fn release(mut self, workspace: &Workspace) -> Result<()> {
        if self.owner.is_none() { Ok(()) } else { self.end(workspace) }
    }

    /// Stops a private engine, whoever started it, and checks that nothing of it is left.
    pub(crate) fn stop(mut self, workspace: &Workspace) -> Result<()> {
        self.end(workspace)
    }

    fn end(&mut self, workspace: &Workspace) -> Result<()> {
        let Some(places) = self.private.take() else { return Ok(()) };
        let state = State::load(&places);
        tell_to_stop(&places)?;
        if let Some(owner) = &mut self.owner.take() {
            while owner.read_line(&mut String::new())? > 0 {}
        }
        wait_for_lock(workspace, &places)?;
        leftovers::check(&places, state.as_ref())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let (Some(places), Some(mut owner)) = (&self.private, self.owner.take()) else { return };
        let _ = tell_to_stop(places);
        while owner.read_line(&mut String::new()).is_ok_and(|length| length > 0) {}
    }
}

/// Waits for an engine that is ending, removes what one left behind that was killed, and checks that nothing is left.
pub(crate) fn clear(workspace: &Workspace) -> Result<()> {
    let places = Places::of(workspace);
    if !places.engine.exists() {
        return Ok(());
    }
    wait_for_lock(workspace, &places)?;
    cgroups::remove(&places.cgroup)?;
    if places.run.exists() {
        fs::remove_dir_all(&places.run)?;
    }
    // The record's numbers may be somebody else's by now.
    let _ = fs::remove_file(&places.state);
    leftovers::check(&places, None)
}

/// The lock is held by the parent of the engine's namespaces until everything in them has died.
fn wait_for_lock(workspace: &Workspace, places: &Places) -> Result<()> {
    let (shell, lock) = (&workspace.shell, places.lock());
    let free = cmd!(shell, "flock --timeout {LOCK_TIME} {lock} true").quiet().ignore_stderr().run();
    free.map_err(|_| format!("the engine of `{}` does not end", places.engine.display()).into())
}

fn tell_to_stop(places: &Places) -> Result<()> {
    UnixDatagram::unbound()?.send_to(b"STOP", places.notify())?;
    Ok(())
}

fn own_answers(workspace: &Workspace) -> bool {
    let shell = &workspace.shell;
    cmd!(shell, "docker version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}
