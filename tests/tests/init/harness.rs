//! `dind-reaper exec` under test, as PID 1 of a namespace and as anything else.

use assert_cmd::Command;
use dind_tests::{bin, eventually, stretched};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

/// A bound for what takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The init's place among processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// PID 1 of a namespace of its own.
    First,
    /// Any other process: it makes itself the subreaper.
    Other,
}

/// Both.
pub(crate) const STANDS: [Stand; 2] = [Stand::First, Stand::Other];

/// The words before the command.
pub(crate) fn words(stand: Stand) -> Vec<String> {
    let mut words: Vec<&str> = Vec::new();
    if stand == Stand::First {
        words.extend(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        if !nix::unistd::geteuid().is_root() {
            words.extend(["--user", "--map-root-user"]);
        }
    }
    let reaper = bin("dind-reaper");
    words.push(reaper.to_str().unwrap());
    // Where no engine listens: the init is alone with its command.
    words.extend(["exec", "--host", "unix:///nonexistent/docker.sock", "--"]);
    words.into_iter().map(str::to_owned).collect()
}

/// The init with a command, to be run to its end.
pub(crate) fn init(stand: Stand, command: &[&str]) -> Command {
    let words = words(stand);
    let mut init = Command::new(&words[0]);
    init.args(&words[1..]).args(command).env_remove("DIND_STOP_BUDGET").timeout(stretched(SOON));
    init
}

/// The init's exit status for a shell script.
pub(crate) fn status(stand: Stand, script: &str) -> i32 {
    init(stand, &["sh", "-c", script]).output().unwrap().status.code().unwrap()
}

/// The init with a command that runs until its stdin ends.
pub(crate) struct Living {
    outer: Child,
    /// What the command reads.
    pub(crate) stdin: Option<ChildStdin>,
    /// What it prints.
    pub(crate) stdout: BufReader<ChildStdout>,
    /// The init's own pid, as we see it.
    pub(crate) pid: i32,
}

impl Living {
    /// Starts the command and waits for its first line, which has to be `ready`.
    pub(crate) fn start(stand: Stand, command: &[&str]) -> Self {
        let words = words(stand);
        let mut outer = std::process::Command::new(&words[0]);
        outer.args(&words[1..]).args(command).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut outer = outer.spawn().unwrap();
        let stdin = outer.stdin.take();
        let stdout = BufReader::new(outer.stdout.take().unwrap());
        let mut living = Self { pid: outer.id() as i32, outer, stdin, stdout };
        assert_eq!(living.line(), "ready");
        if stand == Stand::First {
            living.pid = children(living.pid)[0];
        }
        living
    }

    /// The next line of the command.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends the init a signal by number. The shell's own kill knows real-time signals, nix does not.
    pub(crate) fn signal(&self, number: i32) {
        let script = format!("kill -{number} {}", self.pid);
        assert!(
            std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success(),
            "{script}"
        );
    }

    /// Ends the command's stdin and gives the init's exit status.
    pub(crate) fn end(mut self) -> i32 {
        drop(self.stdin.take());
        eventually("the init ends with its command", SOON, || self.outer.try_wait().unwrap()).code().unwrap()
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        if self.outer.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.outer.kill();
            let _ = self.outer.wait();
        }
    }
}

/// The children of a process, zombies included.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// The process that shows what its init does.
pub(crate) fn test_child() -> &'static str {
    let path = env!("CARGO_BIN_EXE_dind-test-child");
    assert!(Path::new(path).is_file());
    path
}
