//! The processes of a running node: its children, their exit statuses, the engine's log, and the signals that ask it to stop.
//!
//! [`Node`] is the event loop. On it build [`tool`], which runs programs for what they print, and [`sibling`], which runs the
//! other dind tools; [`mod@log`] passes on what the engine writes, and [`programs`] keeps when the programs of a start ran.

pub mod log;
pub mod programs;
pub mod sibling;
pub mod tool;

use crate::stop_signals::stops_node;
use crate::{TOOL, fault};
use dind_contract::Fault;
use dind_contract::finish::log;
use dind_system::supervisor::{ChildId, Event, ExitStatus, SpawnMode, Supervisor, send};
use log::EngineLog;
use nix::libc::SIGHUP;
use programs::{ProgramTimes, Programs};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Why a run does not go on.
#[derive(Debug)]
pub enum StopReason {
    /// The signal with this number asked the node to stop.
    Signal(i32),
    /// Something failed.
    Fault(Box<Fault>),
}

impl From<Fault> for StopReason {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl StopReason {
    /// The fault, for callers that no signal can stop.
    #[must_use]
    pub fn into_fault(self) -> Fault {
        match self {
            Self::Fault(fault) => *fault,
            Self::Signal(number) => fault::INIT_FAILED
                .failed("a stage did not finish", format_args!("signal {number} interrupted it"))
                .hint("try again"),
        }
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// A child exited.
    Exited(ChildId),
    /// The signal with this number asks the node to stop.
    StopSignal(i32),
    /// The watched descriptor with this index is ready.
    Ready(usize),
    /// The deadline passed.
    Deadline,
}

/// The node's processes and what is known of them.
#[derive(Debug)]
pub struct Node {
    supervisor: Supervisor,
    /// The engine's log.
    pub log: EngineLog,
    /// Whether the node stops by itself, because its main process or its engine has ended. The first signal that then asks it to
    /// stop asks for nothing new, and ends nobody's grace period.
    pub stops_by_itself: bool,
    /// Whether a HUP asks for a reload, where no main process is to get it.
    pub reloads_on_hup: bool,
    /// The main process, once it is started: signals go to it.
    pub main: Option<ChildId>,
    exit_statuses: BTreeMap<ChildId, ExitStatus>,
    /// When the programs of the start ran.
    programs: Programs,
    /// It has been logged that the kernel refuses to wait.
    wait_refused: bool,
}

/// How long to pause where the kernel refuses to wait.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

impl Node {
    /// A node without processes. The supervisor has taken over the signals long before.
    #[must_use]
    pub fn new(supervisor: Supervisor, log: EngineLog) -> Self {
        Self {
            supervisor,
            log,
            stops_by_itself: false,
            reloads_on_hup: false,
            main: None,
            exit_statuses: BTreeMap::new(),
            programs: Programs::default(),
            wait_refused: false,
        }
    }

    /// A node without engine, for verbs that only run programs. Takes over the signals.
    ///
    /// # Errors
    /// [`fault::INIT_FAILED`].
    pub fn without_engine() -> Result<Self, Fault> {
        let supervisor =
            Supervisor::new().map_err(|error| init_failed("cannot take over signals", &error))?;
        let log = EngineLog::open(false).map_err(|error| init_failed("cannot duplicate stderr", &error))?;
        Ok(Self::new(supervisor, log))
    }

    /// Starts a child; see [`Supervisor::spawn`].
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn spawn(&mut self, command: &mut Command, mode: SpawnMode) -> io::Result<(ChildId, Child)> {
        let begun = Instant::now();
        let spawned = self.supervisor.spawn(command, mode)?;
        self.programs.started(spawned.0, command, begun);
        Ok(spawned)
    }

    /// When the programs that were started by now ran. Those that are started later are not noted any more: a node lives for long.
    pub fn take_programs(&mut self) -> Vec<ProgramTimes> {
        self.programs.take()
    }

    /// How a child exited, if it has.
    #[must_use]
    pub fn exit_status(&self, child: ChildId) -> Option<ExitStatus> {
        self.exit_statuses.get(&child).copied()
    }

    /// Waits until a child exits, a watched descriptor is ready, a signal asks the node to stop, or the deadline passes. The
    /// log is passed on meanwhile, orphans are reaped, and all other signals go to the main process.
    ///
    /// It cannot fail: where the kernel refuses to wait, that is logged once and tried again. The end of PID 1 would be the
    /// end of everything in the container.
    pub fn wait(&mut self, watched: &[BorrowedFd<'_>], deadline: Option<Instant>) -> WaitOutcome {
        loop {
            let event = {
                let mut all = watched.to_vec();
                all.extend(self.log.sources());
                self.supervisor.next(&all, deadline)
            };
            match event {
                Ok(Event::Ready(index)) if index >= watched.len() => {
                    self.log.relay(index - watched.len());
                }
                Ok(Event::Ready(index)) => return WaitOutcome::Ready(index),
                Ok(Event::Exited(child, exit_status)) => {
                    self.exit_statuses.insert(child, exit_status);
                    self.programs.ended(child);
                    return WaitOutcome::Exited(child);
                }
                Ok(Event::Signal(number)) if self.asks_to_stop(number) => {
                    if !std::mem::take(&mut self.stops_by_itself) {
                        return WaitOutcome::StopSignal(number);
                    }
                }
                Ok(Event::Signal(SIGHUP)) if self.reloads_on_hup && self.main.is_none() => self.reload(),
                Ok(Event::Signal(number)) => self.forward(number),
                Ok(Event::Deadline) => return WaitOutcome::Deadline,
                Err(error) => {
                    self.log_refusal(&error);
                    std::thread::sleep(REFUSED_PAUSE);
                    if deadline.is_some_and(|at| at <= Instant::now()) {
                        return WaitOutcome::Deadline;
                    }
                }
            }
        }
    }

    fn log_refusal(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.wait_refused, true) {
            log(TOOL, "warning", format!("cannot wait for signals and children: {error}; it is tried again"));
        }
    }

    fn asks_to_stop(&self, number: i32) -> bool {
        stops_node(number, self.main.is_some(), io::stdin().is_terminal())
    }

    /// Whether there was a main process, and it has exited.
    #[must_use]
    pub fn main_has_exited(&self) -> bool {
        self.main.is_some_and(|main| self.exit_status(main).is_some())
    }

    /// Has our own verb ask us for a reload, as anybody else would. It logs what is wrong.
    fn reload(&mut self) {
        let Ok(own) = std::env::current_exe() else { return };
        let mut command = Command::new(own);
        command.arg("reload").env_clear().env("DIND_OUTPUT", "json");
        if let Err(error) = self.spawn(command.stdin(Stdio::null()).stdout(Stdio::null()), SpawnMode::Session)
        {
            log(TOOL, "warning", format!("cannot reload the settings: {error}"));
        }
    }

    /// Sends a signal to the main process, while it runs.
    fn forward(&self, number: i32) {
        if let Some(main) = self.main {
            self.signal(main, number);
        }
    }

    /// Sends a signal to a child that still runs. After its exit the pid may belong to another process, so nothing is sent.
    pub fn signal(&self, child: ChildId, number: i32) {
        if self.supervisor.is_running(child) {
            let _ = send(child.pid().as_raw(), number);
        }
    }

    /// Waits until a child has exited or `limit` has passed; a signal that asks the node to stop ends the wait at once.
    /// Returns whether the child has exited.
    pub fn wait_for(&mut self, child: ChildId, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.exit_status(child).is_none() {
            match self.wait(&[], Some(deadline)) {
                WaitOutcome::Deadline | WaitOutcome::StopSignal(_) => break,
                WaitOutcome::Exited(_) | WaitOutcome::Ready(_) => {}
            }
        }
        self.exit_status(child).is_some()
    }
}

/// A failed call without which no process can be supervised. `what` is what failed, as in "cannot create a pipe".
pub fn init_failed(what: impl fmt::Display, error: &io::Error) -> Fault {
    let hint = "this is a bug in the kernel or in dind-launch: please report it";
    fault::INIT_FAILED.failed(what, error).hint(hint_of(error).unwrap_or(hint))
}

/// Makes a socket that only root may use, in the place of one of an earlier run.
///
/// # Errors
/// [`fault::INIT_FAILED`].
pub fn listen_at<T>(path: &Path, listening: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, Fault> {
    let _ = fs::remove_file(path);
    let listen = || {
        let listener = listening(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    listen().map_err(|error| init_failed(format_args!("cannot listen at `{}`", path.display()), &error))
}

/// What helps where space, memory or processes have run out, whatever it was that needed them.
#[must_use]
pub fn hint_of(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("the filesystem is full: free space or inodes on it, or give it more")
        }
        io::ErrorKind::ReadOnlyFilesystem => Some(
            "make it writable; with docker run --read-only, add --tmpfs /run --tmpfs /tmp, and --tmpfs /var/log for LOG=file",
        ),
        io::ErrorKind::OutOfMemory => Some("give the container more memory: docker run --memory"),
        // fork(2)'s word for the limit of processes.
        io::ErrorKind::WouldBlock => {
            Some("give the container more processes and threads: docker run --pids-limit")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_or_read_only_filesystem_is_no_bug() {
        let hint = |number| {
            init_failed("cannot write `/run/dind/daemon.json`", &io::Error::from_raw_os_error(number)).hint
        };
        assert!(hint(nix::libc::ENOSPC).contains("free space"));
        assert!(hint(nix::libc::EDQUOT).contains("free space"));
        assert!(hint(nix::libc::EROFS).contains("--tmpfs /run"));
        assert!(hint(nix::libc::EINVAL).contains("report it"));
    }
}
