//! `exec`: a small init. It runs one command, forwards signals to it, reaps orphans, and keeps its exit status; when the
//! command ends, it stops the inner containers.
//!
//! ```text
//! first TERM or INT          35 % of the budget              100 %
//!   |-- forwarded to the command --|-- containers are stopped ---|
//!                   command ends --|-- containers are stopped ---|   whichever comes first
//! ```
//!
//! An init does not kill its command: one that ignores the signal ends with the container. But Docker's own KILL comes
//! after 10 s and would take the inner containers with it, so these do not wait for such a command for ever.
//!
//! The containers are stopped by `dind-reaper stop`, which is a child like any other. So the init never loads the runtime
//! and the client of the Docker API, and whatever happens to the child, the init goes on.

mod terminal;

use crate::cli::Cli;
use crate::engine::check_listening;
use crate::options::{MIN_BUDGET, Options};
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

/// How much of the budget, in percent, the command has before the containers are stopped beside it.
const COMMAND_SHARE: u32 = 35;
/// How long after its budget the stop may still run to report what happened.
const REPORT_TIME: Duration = Duration::from_millis(300);

/// Runs a command to its end, and stops the containers. Errors are only logged, since stdout is the command's.
pub fn run(cli: &Cli, command: &[OsString]) -> ExitCode {
    // Signals first: from here on each one reaches the command, however early it comes.
    match signals::take_over().and_then(|supervisor| Ok((supervisor, Options::read_to_change(cli)?))) {
        Ok((supervisor, options)) => ExitCode::from(Init::new(supervisor, options).run(command)),
        Err(fault) => {
            log_fault(&fault);
            ExitCode::from(fault.code.exit as u8)
        }
    }
}

/// A running `dind-reaper stop`.
struct StopProcess {
    pid: Pid,
    now: bool,
    deadline: Instant,
}

struct Init {
    supervisor: Supervisor,
    options: Options,
    command: Option<Pid>,
    stop: Option<StopProcess>,
    /// When the first signal asked for a stop: the budget counts from here.
    asked: Option<Instant>,
    /// The command has used up its share, and the containers are stopped beside it.
    beside_command: bool,
}

impl Init {
    fn new(supervisor: Supervisor, options: Options) -> Self {
        Self { supervisor, options, command: None, stop: None, asked: None, beside_command: false }
    }

    fn run(&mut self, command: &[OsString]) -> u8 {
        let terminal = Terminal::remember();
        let status = match self.start(command) {
            // From here on nothing may end the init early: when PID 1 ends, the kernel kills everything else.
            Ok(pid) => self.wait_for_command(pid).status(),
            Err(error) => {
                let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
                log(TOOL, "error", format!("cannot execute `{name}`: {error}"));
                exec_status(&error)
            }
        };
        terminal.give_back();
        self.stop_after_command();
        status
    }

    fn start(&mut self, command: &[OsString]) -> io::Result<Pid> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let (pid, _) = self.supervisor.spawn(Command::new(program).args(args), SpawnMode::Foreground)?;
        self.command = Some(pid);
        // The command has its own working directory; the init's would keep a mount busy.
        let _ = std::env::set_current_dir("/");
        Ok(pid)
    }

    fn wait_for_command(&mut self, command: Pid) -> ExitStatus {
        loop {
            match self.next(self.next_deadline()) {
                Event::Exited(pid, status) if pid == command => {
                    self.command = None;
                    return status;
                }
                Event::Signal(number) => {
                    self.forward(command, number);
                    self.act_on(number);
                }
                Event::Deadline if !self.beside_command => {
                    self.beside_command = true;
                    self.start_stop(false);
                }
                _ => {}
            }
        }
    }

    /// Stops the containers after the command's end. A stop that began beside the command is only waited for.
    fn stop_after_command(&mut self) {
        if self.stop.is_none() {
            self.asked.get_or_insert_with(Instant::now);
            self.start_stop(false);
        }
        while let Some(deadline) = self.stop.as_ref().map(|stop| stop.deadline) {
            if let Event::Signal(number) = self.next(Some(deadline)) {
                self.act_on(number);
            }
        }
    }

    /// The next event. Forgets the stop when it has ended, and kills it when it has overrun its deadline.
    fn next(&mut self, deadline: Option<Instant>) -> Event {
        let event = self.supervisor.next(&[], deadline).unwrap_or_else(|error| {
            // No way to get here is known. An init that misses events for a second is better than one that ends.
            log(TOOL, "warning", format!("cannot wait for signals: {error}"));
            std::thread::sleep(Duration::from_secs(1));
            Event::Ready(0)
        });
        if let Some(stop) = &self.stop {
            match event {
                Event::Exited(pid, _) if pid == stop.pid => self.stop = None,
                Event::Deadline if Instant::now() >= stop.deadline => self.kill_stop(),
                _ => {}
            }
        }
        event
    }

    fn next_deadline(&self) -> Option<Instant> {
        match &self.stop {
            Some(stop) => Some(stop.deadline),
            None if self.beside_command => None,
            None => self.asked.map(|asked| asked + self.options.budget * COMMAND_SHARE / 100),
        }
    }

    fn forward(&self, command: Pid, number: i32) {
        if let Err(error) = send(command.as_raw(), number) {
            log(TOOL, "warning", format!("cannot forward signal {number}: {error}"));
        }
    }

    /// What a signal means to the init itself: the first request to stop starts the budget, and one that comes during a stop
    /// ends its grace period. While the command runs QUIT means neither: a JVM prints its threads on it, and goes on.
    fn act_on(&mut self, number: i32) {
        if !signals::asks_to_stop(number) || (self.command.is_some() && number == Signal::SIGQUIT as i32) {
            return;
        }
        self.asked.get_or_insert_with(Instant::now);
        if self.stop.as_ref().is_some_and(|stop| !stop.now) {
            self.kill_stop();
            self.start_stop(true);
        }
    }

    /// Starts `dind-reaper stop`, unless no engine listens: a command need not start one.
    fn start_stop(&mut self, now: bool) {
        if check_listening(&self.options.socket).is_err() {
            return;
        }
        let passed = self.asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        let budget = self.options.budget.saturating_sub(passed).max(MIN_BUDGET);
        let mut stop = Command::new("/proc/self/exe");
        stop.arg0(TOOL.name).arg("stop").args(now.then_some("--now"));
        stop.arg("--budget").arg(format!("{}ms", budget.as_millis()));
        stop.arg("--host").arg(format!("unix://{}", self.options.socket.display()));
        stop.stdin(Stdio::null()).stdout(Stdio::null());
        match self.supervisor.spawn(&mut stop, SpawnMode::Session) {
            Ok((pid, _)) => {
                self.stop = Some(StopProcess { pid, now, deadline: Instant::now() + budget + REPORT_TIME });
            }
            Err(error) => log(TOOL, "error", format!("cannot stop the inner containers: {error}")),
        }
    }

    fn kill_stop(&mut self) {
        if let Some(stop) = self.stop.take().filter(|stop| self.supervisor.is_running(stop.pid)) {
            let _ = send(stop.pid.as_raw(), Signal::SIGKILL as i32);
        }
    }
}

fn log_fault(fault: &Fault) {
    log(TOOL, "error", fault);
    if !fault.hint.is_empty() {
        log(TOOL, "hint", &fault.hint);
    }
}
