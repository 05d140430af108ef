//! A directory of stubs, and a launcher among them.

use dind_tests::{bare_environment, bin, eventually, scratch_on_disk};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A directory of stubs, and a launcher among them.
pub(crate) struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory = scratch_on_disk();
        for name in ["dockerd", "containerd", "dind-storage", "dind-net", "dind-reaper"] {
            symlink(env!("CARGO_BIN_EXE_dind-stub"), directory.path().join(name)).unwrap();
        }
        fs::create_dir(directory.path().join("run")).unwrap();
        fs::create_dir(directory.path().join("log")).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn mode(self, name: &str, mode: &str) -> Self {
        self.set_mode(name, mode);
        self
    }

    /// For a stub's next start.
    pub(crate) fn set_mode(&self, name: &str, mode: &str) {
        fs::write(self.path().join(format!("{name}.mode")), mode).unwrap();
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path().join("events")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// `dind-launch` as PID 1 of its own namespaces. /run is a directory of the test, which reads the record there.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let launcher = bin("dind-launch");
        self.program(&[&[launcher.to_str().unwrap()], args].concat())
    }

    /// The same for another program in the launcher's place.
    pub(crate) fn program(&self, words: &[&str]) -> Command {
        let script = "mount --bind \"$1/run\" /run && mount --bind \"$1/log\" /var/log && \
                      mount -t tmpfs -o mode=0755 tmpfs /sys/fs/cgroup && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            script,
            "sh",
        ]);
        command.arg(self.path()).args(words);
        self.environment(&mut command).env("DIND_STOP_BUDGET", "3s");
        command
    }

    /// Nothing of ours but the way to the stubs.
    pub(crate) fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = format!("{}:{}", self.path().display(), std::env::var("PATH").unwrap());
        bare_environment(command).env("PATH", path).env("DIND_TOOLS", self.path())
    }

    pub(crate) fn run(&self, main: &[&str]) -> Output {
        self.command(&[&["run", "--"], main].concat()).output().unwrap()
    }

    pub(crate) fn spawn(&self, main: &[&str]) -> Running<'_> {
        self.spawn_command(self.command(&[&["run", "--"], main].concat()))
    }

    pub(crate) fn spawn_command(&self, mut command: Command) -> Running<'_> {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running { site: self, child }
    }

    pub(crate) fn record(&self) -> Value {
        let text = fs::read_to_string(self.path().join("run/dind/launch.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

pub(crate) struct Running<'a> {
    site: &'a Site,
    child: Child,
}

impl Running<'_> {
    /// The launcher's pid, as we see it: the one child of `unshare`.
    pub(crate) fn pid(&self) -> Pid {
        let unshare = self.child.id();
        let children = format!("/proc/{unshare}/task/{unshare}/children");
        eventually("the launcher has been started", LIMIT, || {
            fs::read_to_string(&children).ok()?.trim().parse().ok().map(Pid::from_raw)
        })
    }

    pub(crate) fn until_state(&self, state: &str) {
        eventually(state, LIMIT, || (self.site.record()["state"] == state).then_some(()));
    }

    /// Waits until the main process says, by a file, that its traps are set.
    pub(crate) fn until_up(&self) {
        let file = self.site.path().join("run/up");
        eventually("the main process is up", LIMIT, || file.exists().then_some(()));
        self.until_state("running");
    }

    pub(crate) fn until_event(&self, event: &str) {
        eventually(event, LIMIT, || self.site.events().iter().any(|seen| seen == event).then_some(()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Kills the daemon that the record names; its pid is one of the launcher's namespace.
    pub(crate) fn kill_daemon(&self, daemon: &str) {
        let pid = self.site.record()[daemon].as_i64().unwrap();
        self.signal_inside("KILL", pid);
    }

    /// Sends a signal to a process of the launcher's namespace.
    pub(crate) fn signal_inside(&self, signal: &str, pid: i64) {
        let done = self.enter(&["kill", &format!("-{signal}"), &pid.to_string()]);
        assert!(done.status.success(), "{}", stderr(&done));
    }

    /// Runs a program in the launcher's namespaces, as `docker exec` does.
    pub(crate) fn enter(&self, words: &[&str]) -> Output {
        let target = self.pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &target, "-p", "-m"]).args(words);
        self.site.environment(&mut command).output().unwrap()
    }

    pub(crate) fn site_record(&self) -> Value {
        self.site.record()
    }

    /// `dind-launch` in the launcher's namespaces, to be started by the caller.
    pub(crate) fn launcher_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid().to_string(), "-p", "-m"]).arg(bin("dind-launch")).args(args);
        self.site.environment(&mut command);
        command
    }

    /// `dind-launch` in the launcher's namespaces. Returns its exit status and its document.
    pub(crate) fn launcher(&self, args: &[&str]) -> (i32, Value) {
        let launcher = bin("dind-launch");
        document(&self.enter(&[&[launcher.to_str().unwrap()], args].concat()))
    }

    pub(crate) fn finish(self) -> Output {
        self.child.wait_with_output().unwrap()
    }
}

/// The exit status of a tool, and its document.
pub(crate) fn document(output: &Output) -> (i32, Value) {
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)));
    (output.status.code().unwrap(), document)
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
