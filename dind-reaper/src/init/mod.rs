//! `exec`: a small init. It runs one command, forwards signals to it, reaps orphans, and keeps its exit status; when the
//! command ends, it stops the inner containers.
//!
//! ```text
//! first TERM or INT          20 % of the budget              100 %
//!   |-- forwarded to the command --|-- containers are stopped ---|
//!                   command ends --|-- containers are stopped ---|   whichever comes first
//! ```
//!
//! An init does not kill its command: one that ignores the signal ends with the container. But Docker's own KILL comes
//! after 10 s and would take the inner containers with it, so these do not wait for such a command for ever.
//!
//! The containers are stopped by `dind-reaper stop`, which is a child like any other. So the init never loads the runtime
//! and the client of the Docker API, and whatever happens to the child, the init goes on.

mod engine;
mod terminal;

use crate::cli::Exec;
use crate::engine::check_listening;
use crate::options::{MIN_BUDGET, Options, this_machine};
use crate::{TOOL, fault, signals};
use dind_contract::finish::{log, log_fault};
use dind_system::supervisor::{ChildId, Event, ExitStatus, SpawnMode, Supervisor, exec_status, send};
use engine::{Engine, Wait};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use terminal::Terminal;

/// How much of the budget, in percent, the command has before the containers are stopped beside it.
const COMMAND_SHARE: u32 = 20;
/// How long after its budget the stop may still run to report what happened.
const REPORT_TIME: Duration = Duration::from_millis(300);

/// Runs a command to its end, and stops the containers. Errors are only logged, since stdout is the command's.
pub fn run(args: &Exec) -> ExitCode {
    // Signals first: from here on each one reaches the command, however early it comes.
    let init = signals::take_over().and_then(|supervisor| {
        let options = Options::of_stop(&args.engine, &args.budget, &this_machine()?)?;
        let engine = args.engine_pid.map(Engine::open).transpose()?;
        Ok(Init::new(supervisor, options, engine))
    });
    match init {
        Ok(mut init) => ExitCode::from(init.run(&args.command)),
        Err(fault) => {
            log_fault(TOOL, &fault);
            ExitCode::from(fault.code.exit as u8)
        }
    }
}

/// A running `dind-reaper stop`.
struct StopProcess {
    child: ChildId,
    now: bool,
    deadline: Instant,
}

struct Init {
    supervisor: Supervisor,
    options: Options,
    /// The engine that ends with the command.
    engine: Option<Engine>,
    command: Option<ChildId>,
    stop: Option<StopProcess>,
    /// When the first signal asked for a stop: the budget counts from here.
    asked: Option<Instant>,
    /// The command has used up its share, and the containers are stopped beside it.
    beside_command: bool,
    /// The engine has ended while the command ran, and nobody had asked it to.
    engine_died: bool,
}

impl Init {
    fn new(supervisor: Supervisor, options: Options, engine: Option<Engine>) -> Self {
        Self {
            supervisor,
            options,
            engine,
            command: None,
            stop: None,
            asked: None,
            beside_command: false,
            engine_died: false,
        }
    }

    fn run(&mut self, command: &[OsString]) -> u8 {
        if let Some(status) = self.wait_for_engine() {
            return status;
        }
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
        // That the engine died under it says more than that the command ended when it was asked to.
        if self.engine_died && status == 0 { fault::ENGINE_UNAVAILABLE.exit as u8 } else { status }
    }

    /// Waits until the engine answers. Gives the status to end with where it never will.
    fn wait_for_engine(&mut self) -> Option<u8> {
        let engine = self.engine.as_ref()?;
        match engine.wait(&mut self.supervisor, &self.options.socket, signals::asks_to_stop) {
            Wait::Ready => None,
            Wait::Ended => {
                let fault = engine.exited();
                log_fault(TOOL, &fault);
                Some(fault.code.exit as u8)
            }
            Wait::Signal(number) => {
                self.stop_after_command();
                Some(ExitStatus::Signaled(number).status())
            }
        }
    }

    fn start(&mut self, command: &[OsString]) -> io::Result<ChildId> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let (child, _) = self.supervisor.spawn(Command::new(program).args(args), SpawnMode::Foreground)?;
        self.command = Some(child);
        // The command has its own working directory; the init's would keep a mount busy.
        let _ = std::env::set_current_dir("/");
        Ok(child)
    }

    fn wait_for_command(&mut self, command: ChildId) -> ExitStatus {
        loop {
            match self.next(self.next_deadline()) {
                Event::Exited(child, status) if child == command => {
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
                _ => self.watch_engine(command),
            }
        }
    }

    /// The engine's end is the command's.
    fn watch_engine(&mut self, command: ChildId) {
        let Some(engine) = &mut self.engine else { return };
        // One that ends because we have asked it to is no error.
        if engine.has_just_ended() && self.stop.is_none() {
            log_fault(TOOL, &engine.exited());
            self.engine_died = true;
            self.forward(command, Signal::SIGTERM as i32);
            self.asked.get_or_insert_with(Instant::now);
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
        if let Some(engine) = &self.engine {
            engine.kill();
        }
    }

    /// The next event. Forgets the stop when it has ended, and kills it when it has overrun its deadline.
    fn next(&mut self, deadline: Option<Instant>) -> Event {
        let watched: Vec<_> = self.engine.iter().filter_map(Engine::end).collect();
        let event = self.supervisor.next(&watched, deadline).unwrap_or_else(|error| {
            // No way to get here is known. An init that misses events for a second is better than one that ends.
            log(TOOL, "warning", format!("cannot wait for signals: {error}"));
            std::thread::sleep(Duration::from_secs(1));
            Event::Ready(0)
        });
        if let Some(stop) = &self.stop {
            match event {
                Event::Exited(child, _) if child == stop.child => self.stop = None,
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

    fn forward(&self, command: ChildId, number: i32) {
        if let Err(error) = send(command.pid().as_raw(), number) {
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

    /// Starts `dind-reaper stop`, unless no engine listens: a command need not start one. The containers of one that was
    /// started for the command may outlive it.
    fn start_stop(&mut self, now: bool) {
        if self.engine.is_none() && check_listening(&self.options.socket).is_err() {
            return;
        }
        let passed = self.asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        let budget = self.options.budget.saturating_sub(passed).max(MIN_BUDGET);
        let mut stop = Command::new("/proc/self/exe");
        stop.arg0(TOOL.name).arg("stop").args(now.then_some("--now"));
        stop.args(self.engine.as_ref().map(|_| "--as=shutdown"));
        stop.arg("--budget").arg(format!("{}ms", budget.as_millis()));
        stop.arg("--host").arg(format!("unix://{}", self.options.socket.display()));
        stop.arg("--data-root").arg(&self.options.data_root);
        stop.stdin(Stdio::null()).stdout(Stdio::null());
        match self.supervisor.spawn(&mut stop, SpawnMode::Session) {
            Ok((child, _)) => {
                self.stop = Some(StopProcess { child, now, deadline: Instant::now() + budget + REPORT_TIME });
            }
            Err(error) => log(TOOL, "error", format!("cannot stop the inner containers: {error}")),
        }
    }

    fn kill_stop(&mut self) {
        if let Some(stop) = self.stop.take().filter(|stop| self.supervisor.is_running(stop.child)) {
            let _ = send(stop.child.pid().as_raw(), Signal::SIGKILL as i32);
        }
    }
}
