//! The engine that everything runs on: the machine's own, or a private throw-away one.
//!
//! The private engine has its own network, mount and process namespaces, data root, sockets and control groups, and
//! reaches the network through slirp4netns in user space: no rule, link or sysctl of the machine is touched, and
//! killing its first process takes everything along.
//!
//! * `start`: makes the namespaces and the way out of them, and waits until the engine serves
//! * [`init`]: the first process in them, which `start` executes: this program again
//! * [`runtime`]: this program a third time, as the OCI runtime of machines whose root has not every capability
//! * `state`: the record for later commands; `users`: who uses it; `leftovers`: what a stop must not leave; `cgroups`, `paths`

mod cgroups;
pub mod init;
mod leftovers;
mod paths;
pub mod runtime;
mod start;
mod state;
mod users;

use crate::workspace::Workspace;
use crate::{Result, progress};
use paths::LOCK_TIME;
pub use paths::Paths;
use state::State;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use users::{Unused, User};
use xshell::{Cmd, cmd};

/// A running engine. A private one that this process started is stopped when this goes, unless it was kept; where others use it by
/// then, it goes with the last of them.
#[derive(Debug)]
pub struct Engine {
    /// For `DOCKER_HOST`.
    pub host: String,
    /// A process in the network namespace where the engine's bridges are.
    pub pid: i32,
    private: Option<Paths>,
    owner: Option<BufReader<UnixStream>>,
    /// Of a private one.
    user: Option<User>,
}

impl Engine {
    /// The private engine if it runs, otherwise the machine's own if it can run a node, otherwise a new private one.
    pub fn find_or_start(workspace: &Workspace) -> Result<Self> {
        match Self::find(workspace)? {
            Some(engine) => Ok(engine),
            None => start::start(workspace),
        }
    }

    /// An engine that already runs.
    pub fn find(workspace: &Workspace) -> Result<Option<Self>> {
        let paths = Paths::of(workspace);
        // Before the look: one that is about to end is waited for.
        let user = if paths.engine.exists() { Some(User::begin(&paths)?) } else { None };
        if let Some(state) = State::running(&paths) {
            let host = paths.docker_host();
            return Ok(Some(Self { host, pid: state.init.pid, private: Some(paths), owner: None, user }));
        }
        let forced = std::env::var("DIND_TEST_ENGINE").is_ok_and(|engine| engine == "private");
        if forced || !runtime::missing_capabilities()?.is_empty() || !own_answers(workspace) {
            return Ok(None);
        }
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        Ok(Some(Self { host, pid: std::process::id() as i32, private: None, owner: None, user: None }))
    }

    /// A docker command for this engine.
    pub fn docker<'a>(&self, workspace: &'a Workspace, args: &[&str]) -> Cmd<'a> {
        // The classic builder is in every engine of the distributions; the other one is a plugin that most of them leave out.
        let shell = &workspace.shell;
        cmd!(shell, "docker {args...}").env("DOCKER_HOST", &self.host).env("DOCKER_BUILDKIT", "0").quiet()
    }

    /// What a docker command prints; its complaints are in the error.
    pub fn ask(&self, workspace: &Workspace, args: &[&str]) -> Result<String> {
        let output = self.docker(workspace, args).ignore_status().output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("`docker {}` failed: {complaint}", args.join(" ")).into())
    }

    /// crun as it works on this machine.
    #[must_use]
    pub fn crun(&self) -> PathBuf {
        self.private.as_ref().map_or_else(|| runtime::CRUN.into(), |paths| paths.engine.join(runtime::CRUN))
    }

    /// Whether this is the throw-away one.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Lets a private engine outlive this process and all others, whoever started it.
    pub fn keep(&mut self) -> Result<()> {
        Ok(self.private.as_ref().map_or(Ok(()), users::keep)?)
    }

    /// Keeps the engine for what is to be seen in it, and prints that; after an error, removes what is there and releases.
    pub fn keep_for(
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
    pub fn release(mut self, workspace: &Workspace) -> Result<()> {
        match self.last() {
            Some(_unused) => self.end(workspace),
            None => Ok(()),
        }
    }

    /// Whether it is to end now: this process started it, nobody keeps it, and nobody else uses it.
    fn last(&mut self) -> Option<Unused> {
        let paths = self.private.as_ref().filter(|_| self.owner.is_some())?;
        if users::is_kept(paths) {
            return None;
        }
        let unused = self.user.take()?.end().ok()?;
        if unused.is_none() {
            progress::note("another command uses the private engine, which ends with that");
        }
        unused
    }

    /// Stops a private engine, whoever started it, and checks that nothing of it is left.
    pub fn stop(mut self, workspace: &Workspace) -> Result<()> {
        self.end(workspace)
    }

    fn end(&mut self, workspace: &Workspace) -> Result<()> {
        let Some(paths) = self.private.take() else { return Ok(()) };
        let state = State::load(&paths);
        let used = leftovers::loop_devices_in_use(&paths);
        send_stop(&paths)?;
        if let Some(owner) = &mut self.owner.take() {
            while owner.read_line(&mut String::new())? > 0 {}
        }
        wait_for_lock(workspace, &paths)?;
        leftovers::check(&paths, state.as_ref(), &used)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(_unused) = self.last() else { return };
        let (Some(paths), Some(mut owner)) = (&self.private, self.owner.take()) else { return };
        let _ = send_stop(paths);
        while owner.read_line(&mut String::new()).is_ok_and(|length| length > 0) {}
    }
}

/// Waits for an engine that is ending, removes what one left behind that was killed, and checks that nothing is left.
pub fn clear(workspace: &Workspace) -> Result<()> {
    let paths = Paths::of(workspace);
    if !paths.engine.exists() {
        return Ok(());
    }
    wait_for_lock(workspace, &paths)?;
    cgroups::remove(&paths.cgroup)?;
    if paths.run.exists() {
        fs::remove_dir_all(&paths.run)?;
    }
    // The record's numbers may be somebody else's by now.
    let _ = fs::remove_file(&paths.state);
    leftovers::check(&paths, None, &[])
}

/// The lock is held by the parent of the engine's namespaces until everything in them has died.
fn wait_for_lock(workspace: &Workspace, paths: &Paths) -> Result<()> {
    let (shell, lock) = (&workspace.shell, paths.lock());
    let free = cmd!(shell, "flock --timeout {LOCK_TIME} {lock} true").quiet().ignore_stderr().run();
    free.map_err(|_| format!("the engine of `{}` did not end", paths.engine.display()).into())
}

fn send_stop(paths: &Paths) -> Result<()> {
    UnixDatagram::unbound()?.send_to(b"STOP", paths.notify())?;
    Ok(())
}

fn own_answers(workspace: &Workspace) -> bool {
    let shell = &workspace.shell;
    cmd!(shell, "docker version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}
