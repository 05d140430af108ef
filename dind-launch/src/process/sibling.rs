//! The sibling tools: found, called as programs, read by their documents. What a shell script can do with them is all
//! that the launcher does.

use crate::fault;
use crate::process::{Node, StopReason, WaitOutcome};
use dind_contract::{Code, ExitCode, Failure, Fault, Report};
use dind_system::supervisor::SpawnMode;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A document with a result of any shape: the launcher passes on what it does not need to understand.
pub type Document = Report<Value>;

/// How long a tool that was asked to stop may take before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// Where the tools are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// `dind-storage`.
    pub storage: PathBuf,
    /// `dind-net`.
    pub net: PathBuf,
    /// `dind-reaper`.
    pub reaper: PathBuf,
}

impl Tools {
    /// Looks in the named folder; without one, beside this program and then on PATH.
    ///
    /// # Errors
    /// [`fault::TOOL_MISSING`].
    pub fn find(folder: Option<&Path>) -> Result<Self, Fault> {
        let one = |name| find(name, folder);
        Ok(Self { storage: one("dind-storage")?, net: one("dind-net")?, reaper: one("dind-reaper")? })
    }
}

fn find(name: &str, folder: Option<&Path>) -> Result<PathBuf, Fault> {
    let own = std::env::current_exe().ok();
    let beside = folder.or(own.as_deref().and_then(Path::parent));
    let here = beside.map(|folder| folder.join(name)).filter(|path| path.is_file());
    let found = if folder.is_some() { here } else { here.or_else(|| which::which(name).ok()) };
    found.ok_or_else(|| {
        let place = folder.map_or_else(|| "PATH".to_owned(), |folder| folder.display().to_string());
        fault::TOOL_MISSING
            .cannot("find", name, format!("it is not in {place}"))
            .hint("put the four dind tools into one folder, or name it with --tools")
    })
}

/// A program that was started for what it prints.
#[derive(Debug)]
pub struct ToolProcess {
    name: String,
    quiet: bool,
    pid: Pid,
    stdout: Option<ChildStdout>,
    text: Vec<u8>,
}

/// What a signal that asks us to stop does to programs under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStopSignal {
    /// They are ended: TERM, and KILL a second later.
    Terminate,
    /// They run to their end.
    RunToEnd,
}

impl ToolProcess {
    /// Starts a sibling tool that changes something. Its stderr is ours, for people.
    ///
    /// # Errors
    /// It cannot be executed.
    pub fn tool(node: &mut Node, tool: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Self, Fault> {
        let mut command = Command::new(tool);
        command.args(args).envs(env.iter().copied()).env("DIND_OUTPUT", "json");
        Self::start(node, command).map_err(|error| {
            fault::TOOL_BROKEN.cannot("execute", tool.display(), error).hint("install the dind tools again")
        })
    }

    /// Starts a sibling tool's `plan`. It keeps quiet: what it warns of is warned of again by its `apply`, and its error
    /// becomes ours.
    ///
    /// # Errors
    /// It cannot be executed.
    pub fn plan(node: &mut Node, tool: &Path, root: &str, env: &[(&str, &str)]) -> Result<Self, Fault> {
        let mut command = Command::new(tool);
        command.args(["plan", "--root", root]).envs(env.iter().copied());
        command.env("DIND_OUTPUT", "json").stderr(Stdio::null());
        let tool = Self::start(node, command).map_err(|error| {
            fault::TOOL_BROKEN.cannot("execute", tool.display(), error).hint("install the dind tools again")
        })?;
        Ok(Self { quiet: true, ..tool })
    }

    /// Starts any program for what it prints.
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn start(node: &mut Node, mut command: Command) -> io::Result<Self> {
        let program = Path::new(command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let (pid, mut child) = node.spawn(&mut command, SpawnMode::Session)?;
        Ok(Self { name, quiet: false, pid, stdout: child.stdout.take(), text: Vec::new() })
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it prints into, until it is closed: to be watched, and then [`ToolProcess::read`].
    #[must_use]
    pub fn output(&self) -> Option<BorrowedFd<'_>> {
        self.stdout.as_ref().map(AsFd::as_fd)
    }

    /// Reads what it has printed by now.
    pub fn read(&mut self) {
        let mut chunk = [0; 4096];
        match self.stdout.as_mut().map(|stdout| stdout.read(&mut chunk)) {
            Some(Ok(length)) if length > 0 => self.text.extend_from_slice(&chunk[..length]),
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => self.stdout = None,
        }
    }

    /// Whether it has ended, and all that it printed is read.
    #[must_use]
    pub fn is_over(&self, node: &Node) -> bool {
        self.stdout.is_none() && node.exit_status(self.pid).is_some()
    }

    /// What it has printed.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// The status it ended with.
    #[must_use]
    pub fn status(&self, node: &Node) -> u8 {
        node.exit_status(self.pid).map_or(0, |exit_status| exit_status.status())
    }

    /// The document of a tool that has ended.
    ///
    /// # Errors
    /// The tool's own, or that it has printed none.
    pub fn document(&self, node: &Node) -> Result<Document, Fault> {
        let broken = |cause: String| {
            let fault = fault::TOOL_BROKEN.cannot("read the document of", &self.name, cause);
            fault.hint("all dind tools have to be of one release; its own lines are above")
        };
        let status = self.status(node);
        let value: Value = serde_json::from_str(self.text().trim()).map_err(|error| {
            broken(format!("it ended with status {status}, and stdout is no JSON: {error}"))
        })?;
        let schema = format!("{}/v1", self.name.replace('-', "."));
        if value.get("schema").and_then(Value::as_str) != Some(&schema) {
            return Err(broken(format!("its schema is not {schema}")));
        }
        if value.get("ok") == Some(&Value::Bool(false)) {
            let failure: Failure =
                serde_json::from_value(value).map_err(|error| broken(error.to_string()))?;
            return Err(of_tool(self, failure, status));
        }
        if status != 0 {
            return Err(broken(format!("it says `ok`, and ended with status {status}")));
        }
        serde_json::from_value(value).map_err(|error| broken(error.to_string()))
    }
}

/// A tool's own error: its code, causes and hint, under its own exit status. An apply has told people on stderr already.
fn of_tool(tool: &ToolProcess, failure: Failure, status: u8) -> Fault {
    let error = failure.error;
    let (code, cause) = if tool.quiet {
        (fault::SETTINGS_REFUSED, error.message.clone())
    } else {
        (fault::STAGE_FAILED, format!("it ended with {}", error.code))
    };
    let code = Code { exit: ExitCode::from_status(status).unwrap_or(code.exit), ..code };
    let mut fault =
        code.cannot("go on without", format!("{} {}", tool.name, failure.mode), cause).hint(error.hint);
    fault.causes = std::iter::once(error.code).chain(error.causes).collect();
    fault.causes.dedup();
    fault
}

/// Waits for sibling tools that run at once, and gives their documents in order.
///
/// # Errors
/// The first fault of one of them, or the signal that asks us to stop.
pub fn documents<const N: usize>(
    node: &mut Node,
    mut tools: [ToolProcess; N],
    on_stop: OnStopSignal,
) -> Result<[Document; N], StopReason> {
    wait_all(node, &mut tools, on_stop, None)?;
    let mut documents = Vec::with_capacity(N);
    for tool in &tools {
        documents.push(tool.document(node)?);
    }
    documents
        .try_into()
        .map_err(|_| fault::TOOL_BROKEN.cannot("collect", "documents", "one is missing").into())
}

/// Waits until all calls have ended; at `limit` they are killed.
///
/// # Errors
/// The signal that asks us to stop, after the calls have ended by it.
pub fn wait_all(
    node: &mut Node,
    tools: &mut [ToolProcess],
    on_stop: OnStopSignal,
    limit: Option<Duration>,
) -> Result<(), StopReason> {
    let mut asked = None;
    let mut deadline = limit.map(|limit| Instant::now() + limit);
    while tools.iter().any(|tool| !tool.is_over(node)) {
        let open: Vec<usize> = (0..tools.len()).filter(|&i| tools[i].stdout.is_some()).collect();
        let outcome = {
            let fds: Vec<_> = tools.iter().filter_map(ToolProcess::output).collect();
            node.wait(&fds, deadline)?
        };
        match outcome {
            WaitOutcome::Ready(index) => tools[open[index]].read(),
            WaitOutcome::Exited(_) => {}
            WaitOutcome::StopSignal(_) if on_stop == OnStopSignal::RunToEnd => {}
            WaitOutcome::StopSignal(number) if asked.is_none() => {
                asked = Some(number);
                deadline = Some(Instant::now() + GRACE);
                tools.iter().for_each(|tool| node.signal(tool.pid, Signal::SIGTERM as i32));
            }
            WaitOutcome::StopSignal(_) | WaitOutcome::Deadline => {
                deadline = None;
                tools.iter().for_each(|tool| node.signal(tool.pid, Signal::SIGKILL as i32));
            }
        }
    }
    asked.map_or(Ok(()), |number| Err(StopReason::Signal(number)))
}
