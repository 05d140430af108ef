//! Programs that are started for what they print, and waited for.

use super::{Node, StopReason, WaitOutcome};
use dind_system::supervisor::{ChildId, SpawnMode};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to end after the node was asked to stop, before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// How long a killed program may take to exit. One that waits for a device does not, and must not keep the node.
const AFTER_KILL: Duration = Duration::from_millis(500);

/// A program that was started for what it prints.
#[derive(Debug)]
pub struct ToolProcess {
    name: String,
    quiet: bool,
    child: ChildId,
    started: Instant,
    killed_after: Option<Duration>,
    stdout: Option<ChildStdout>,
    output: Vec<u8>,
}

/// What a signal that asks the node to stop does to programs that still run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStopSignal {
    /// They are ended: TERM, and KILL a second later.
    Terminate,
    /// They run to their end.
    RunToEnd,
}

impl ToolProcess {
    /// Starts a program. Its stderr is ours.
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn start(node: &mut Node, command: Command) -> io::Result<Self> {
        Self::start_in_pipe(node, command, Stdio::null(), Stdio::piped())
    }

    /// Starts a program that reads what another one writes, or the other way round.
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn start_in_pipe(
        node: &mut Node,
        mut command: Command,
        input: Stdio,
        output: Stdio,
    ) -> io::Result<Self> {
        let program = Path::new(command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        command.stdin(input).stdout(output);
        let (id, mut child) = node.spawn(&mut command, SpawnMode::Session)?;
        Ok(Self {
            name,
            quiet: false,
            child: id,
            started: Instant::now(),
            killed_after: None,
            stdout: child.stdout.take(),
            output: Vec::new(),
        })
    }

    /// Starts a program whose stderr nobody sees.
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn start_quiet(node: &mut Node, mut command: Command) -> io::Result<Self> {
        command.stderr(Stdio::null());
        Ok(Self { quiet: true, ..Self::start(node, command)? })
    }

    /// The base name of the program.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether nobody sees its stderr.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Which child it is.
    #[must_use]
    pub fn child(&self) -> ChildId {
        self.child
    }

    /// Its stdout, until that is closed: to be watched, and then read by [`ToolProcess::read_stdout`].
    #[must_use]
    pub fn stdout(&self) -> Option<BorrowedFd<'_>> {
        self.stdout.as_ref().map(AsFd::as_fd)
    }

    /// Reads what it has printed by now.
    pub fn read_stdout(&mut self) {
        let mut chunk = [0; 4096];
        match self.stdout.as_mut().map(|stdout| stdout.read(&mut chunk)) {
            Some(Ok(length)) if length > 0 => self.output.extend_from_slice(&chunk[..length]),
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => self.stdout = None,
        }
    }

    /// Reads what a program that has exited has left in the pipe, and closes it: a daemon that it has started may hold the other end.
    fn read_rest(&mut self) {
        while let Some(stdout) = self.stdout() {
            match poll(&mut [PollFd::new(stdout, PollFlags::POLLIN)], PollTimeout::ZERO) {
                Ok(1..) => self.read_stdout(),
                Err(Errno::EINTR) => {}
                _ => self.stdout = None,
            }
        }
    }

    /// Whether it has exited, and all that it printed is read.
    #[must_use]
    pub fn is_finished(&self, node: &Node) -> bool {
        self.stdout.is_none() && node.exit_status(self.child).is_some()
    }

    /// Kills it. When it has exited, [`Node::wait`] reports that.
    pub fn kill(&mut self, node: &Node) {
        node.signal(self.child, Signal::SIGKILL as i32);
        self.killed_after = Some(self.started.elapsed());
    }

    /// After how long it was killed, if it was.
    #[must_use]
    pub fn killed_after(&self) -> Option<Duration> {
        self.killed_after
    }

    /// What it has printed.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The exit status of a program that has finished.
    #[must_use]
    pub fn status(&self, node: &Node) -> u8 {
        node.exit_status(self.child).map_or(0, |exit_status| exit_status.status())
    }
}

/// Waits until all of these programs have finished. At `limit` they are killed, and one that even then does not exit is given up.
///
/// # Errors
/// The signal that asks the node to stop, after the programs have finished.
pub fn wait_all(
    node: &mut Node,
    tools: &mut [ToolProcess],
    on_stop: OnStopSignal,
    limit: Option<Duration>,
) -> Result<(), StopReason> {
    let (mut stop_signal, mut killed) = (None, false);
    let mut deadline = limit.map(|limit| Instant::now() + limit);
    while tools.iter().any(|tool| !tool.is_finished(node)) {
        let exited = tools.iter_mut().filter(|tool| node.exit_status(tool.child).is_some());
        exited.for_each(ToolProcess::read_rest);
        if tools.iter().all(|tool| tool.is_finished(node)) {
            break;
        }
        let open: Vec<usize> = (0..tools.len()).filter(|&i| tools[i].stdout.is_some()).collect();
        let outcome = {
            let fds: Vec<_> = tools.iter().filter_map(ToolProcess::stdout).collect();
            node.wait(&fds, deadline)
        };
        match outcome {
            WaitOutcome::Ready(index) => tools[open[index]].read_stdout(),
            WaitOutcome::Exited(_) => {}
            WaitOutcome::StopSignal(_) if on_stop == OnStopSignal::RunToEnd => {}
            WaitOutcome::StopSignal(number) if stop_signal.is_none() => {
                stop_signal = Some(number);
                deadline = Some(Instant::now() + GRACE);
                tools.iter().for_each(|tool| node.signal(tool.child, Signal::SIGTERM as i32));
            }
            WaitOutcome::Deadline if killed => break,
            WaitOutcome::StopSignal(_) if killed => {}
            WaitOutcome::StopSignal(_) | WaitOutcome::Deadline => {
                killed = true;
                deadline = Some(Instant::now() + AFTER_KILL);
                tools.iter_mut().filter(|tool| !tool.is_finished(node)).for_each(|tool| tool.kill(node));
            }
        }
    }
    stop_signal.map_or(Ok(()), |number| Err(StopReason::Signal(number)))
}
