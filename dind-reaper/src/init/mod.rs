//! `exec`: a small init. One command, its signals, its orphans, its exit status; then the inner containers.
//!
//! ```text
//! first TERM or INT          35 % of the budget              100 %
//!   |-- forwarded to the command --|-- containers are stopped ---|
//!                   command ends --|-- containers are stopped ---|   whichever comes first
//! ```
//!
//! An init does not kill its command: one that ignores the signal ends with the container. But Docker's own KILL comes
//! after 10 s and would take the inner containers with it, so they do not wait for such a command for ever.
//!
//! The containers are stopped by `dind-reaper stop`, as a child like any other: the runtime and the client of the
//! Docker API are never loaded into the init, and whatever becomes of the child, the init goes on.

pub mod terminal;

use crate::cli::Cli;
use crate::engine::listens;
use crate::options::{LEAST_BUDGET, Options};

use crate::{TOOL, signals};
use dind_contract::Fault;
use dind_contract::finish::log;
use dind_system::supervisor::{Event, ExitStatus, SpawnMode, Supervisor, exec_status, send};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use terminal::Terminal;

/// How much of the budget, in percent, the command has for itself.
const COMMAND_SHARE: u32 = 35;
/// What a stopper gets beyond its budget to write its last words.
const OVERTIME: Duration = Duration::from_millis(300);

/// Runs a command to its end and stops the containers. Says everything on stderr.
pub fn run(cli: &Cli, command: &[OsString]) -> ExitCode {
    // Signals first: what comes from here on reaches the command, however early.
    match signals::take_over().and_then(|supervisor| Ok((supervisor, Options::read_to_change(cli)?))) {
        Ok((supervisor, options)) => ExitCode::from(Init::new(supervisor, options).live(command)),
        Err(fault) => {
            tell_fault(&fault);
            ExitCode::from(fault.code.exit as u8)
        }
    }
}

/// A stop of the containers that is under way.
struct Stopper {
    pid: Pid,
    now: bool,
    deadline: Instant,
}

struct Init {
    supervisor: Supervisor,
    options: Options,
    command: Option<Pid>,
    stopper: Option<Stopper>,
    /// When we were first asked to stop: the budget counts from here.
    asked: Option<Instant>,
    /// The containers have been dealt with before the command's end.
    early: bool,
}

impl Init {
    fn new(supervisor: Supervisor, options: Options) -> Self {
        Self { supervisor, options, command: None, stopper: None, asked: None, early: false }
    }

    fn live(&mut self, command: &[OsString]) -> u8 {
        let terminal = Terminal::remember();
        let status = match self.start(command) {
            // From here on there is no giving up: the end of PID 1 is the end of everything.
            Ok(pid) => self.until_command_ends(pid).status(),
            Err(error) => {
                let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
                log(TOOL, "error", format!("cannot execute `{name}`: {error}"));
                exec_status(&error)
            }
        };
        terminal.give_back();
        self.last_stop();
        status
    }

    fn start(&mut self, command: &[OsString]) -> io::Result<Pid> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let (pid, _) = self.supervisor.spawn(Command::new(program).args(args), SpawnMode::Foreground)?;
        self.command = Some(pid);
        // The command has its own; ours would keep a mount busy.
        let _ = std::env::set_current_dir("/");
        Ok(pid)
    }

    fn until_command_ends(&mut self, command: Pid) -> ExitStatus {
        loop {
            match self.next(self.next_deadline()) {
                Event::Exited(pid, ending) if pid == command => {
                    self.command = None;
                    return ending;
                }
                Event::Signal(number) => {
                    self.forward(command, number);
                    self.consider(number);
                }
                Event::Deadline if !self.early => {
                    self.early = true;
                    self.start_stopper(false);
                }
                _ => {}
            }
        }
    }

    /// Stops what runs, after the command's end.
    fn last_stop(&mut self) {
        if self.stopper.is_none() {
            self.asked.get_or_insert_with(Instant::now);
            self.start_stopper(false);
        }
        while let Some(deadline) = self.stopper.as_ref().map(|stopper| stopper.deadline) {
            if let Event::Signal(number) = self.next(Some(deadline)) {
                self.consider(number);
            }
        }
    }

    /// The next event. The stopper's end, and its overtime, are dealt with here.
    fn next(&mut self, deadline: Option<Instant>) -> Event {
        let event = self.supervisor.next(&[], deadline).unwrap_or_else(|error| {
            // Nothing that we know of leads here. Better an init that is blind for a moment than none.
            log(TOOL, "warning", format!("cannot wait for signals: {error}"));
            std::thread::sleep(Duration::from_secs(1));
            Event::Ready(0)
        });
        if let Some(stopper) = &self.stopper {
            match event {
                Event::Exited(pid, _) if pid == stopper.pid => self.stopper = None,
                Event::Deadline if Instant::now() >= stopper.deadline => self.drop_stopper(),
                _ => {}
            }
        }
        event
    }

    fn next_deadline(&self) -> Option<Instant> {
        match &self.stopper {
            Some(stopper) => Some(stopper.deadline),
            None if self.early => None,
            None => self.asked.map(|asked| asked + self.options.budget * COMMAND_SHARE / 100),
        }
    }

    fn forward(&self, command: Pid, number: i32) {
        if let Err(error) = send(command.as_raw(), number) {
            log(TOOL, "warning", format!("cannot forward signal {number}: {error}"));
        }
    }

    /// What a signal means to us, beside being forwarded. While the command runs QUIT means nothing: a JVM prints its
    /// threads on it, and goes on.
    fn consider(&mut self, number: i32) {
        if !signals::asks_to_stop(number) || (self.command.is_some() && number == Signal::SIGQUIT as i32) {
            return;
        }
        self.asked.get_or_insert_with(Instant::now);
        if self.stopper.as_ref().is_some_and(|stopper| !stopper.now) {
            self.drop_stopper();
            self.start_stopper(true);
        }
    }

    /// Starts `dind-reaper stop`, unless there is no engine: not every command comes with one.
    fn start_stopper(&mut self, now: bool) {
        if listens(&self.options.socket).is_err() {
            return;
        }
        let passed = self.asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        let budget = self.options.budget.saturating_sub(passed).max(LEAST_BUDGET);
        let mut stop = Command::new("/proc/self/exe");
        stop.arg0(TOOL.name).arg("stop").args(now.then_some("--now"));
        stop.arg("--budget").arg(format!("{}ms", budget.as_millis()));
        stop.arg("--host").arg(format!("unix://{}", self.options.socket.display()));
        stop.stdin(Stdio::null()).stdout(Stdio::null());
        match self.supervisor.spawn(&mut stop, SpawnMode::Session) {
            Ok((pid, _)) => {
                self.stopper = Some(Stopper { pid, now, deadline: Instant::now() + budget + OVERTIME });
            }
            Err(error) => log(TOOL, "error", format!("cannot stop the inner containers: {error}")),
        }
    }

    fn drop_stopper(&mut self) {
        if let Some(stopper) = self.stopper.take().filter(|stopper| self.supervisor.is_running(stopper.pid)) {
            let _ = send(stopper.pid.as_raw(), Signal::SIGKILL as i32);
        }
    }
}

fn tell_fault(fault: &Fault) {
    log(TOOL, "error", fault);
    if !fault.hint.is_empty() {
        log(TOOL, "hint", &fault.hint);
    }
}
