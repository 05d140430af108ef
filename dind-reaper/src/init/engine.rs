//! The engine that was started for the command: waited for before the command starts, and watched while it runs.

use crate::fault;
use dind_contract::Fault;
use dind_system::Process;
use dind_system::supervisor::{Event, Supervisor};
use nix::libc::SIGKILL;
use nix::unistd::Pid;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Before another try, where nobody listens yet.
const PAUSE: Duration = Duration::from_millis(10);
/// An answer that takes longer is asked for again: the listener may have been another one's.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a wait for the engine ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It answers.
    Ready,
    /// It has ended.
    Ended,
    /// This signal came first.
    Signal(i32),
}

/// The engine.
#[derive(Debug)]
pub(super) struct Engine {
    process: Process,
    ended: bool,
}

impl Engine {
    /// Finds the engine by its number.
    ///
    /// # Errors
    /// It has ended already.
    pub(super) fn open(pid: i32) -> Result<Self, Fault> {
        let process = Process::open(Pid::from_raw(pid)).map_err(|_| exited(pid))?;
        Ok(Self { process, ended: false })
    }

    /// Becomes readable when it ends; nothing once that is known.
    pub(super) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.process.end().filter(|_| !self.ended)
    }

    /// Whether it has ended since the last time this was asked.
    pub(super) fn has_just_ended(&mut self) -> bool {
        !self.ended && {
            self.ended = !self.process.is_running();
            self.ended
        }
    }

    /// The error of an engine that has ended.
    pub(super) fn exited(&self) -> Fault {
        exited(self.process.pid().as_raw())
    }

    /// What outlives its budget is killed; its containers have ended by then.
    pub(super) fn kill(&self) {
        let _ = self.process.signal(SIGKILL);
    }

    /// Waits until the engine answers at its socket, or has ended, or a signal that `stops` says so.
    pub(super) fn wait(&self, supervisor: &mut Supervisor, socket: &Path, stops: fn(i32) -> bool) -> Wait {
        loop {
            let connection = UnixStream::connect(socket).and_then(ask);
            let limit = if connection.is_ok() { ANSWER_TIMEOUT } else { PAUSE };
            let deadline = Instant::now() + limit;
            let mut watched: Vec<_> = self.end().into_iter().collect();
            watched.extend(connection.iter().map(AsFd::as_fd));
            loop {
                match supervisor.next(&watched, Some(deadline)) {
                    Ok(Event::Signal(number)) if stops(number) => return Wait::Signal(number),
                    Ok(Event::Ready(_) | Event::Deadline) => break,
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(PAUSE),
                }
            }
            if !self.process.is_running() {
                return Wait::Ended;
            }
            if connection.is_ok_and(answers) {
                return Wait::Ready;
            }
        }
    }
}

fn exited(pid: i32) -> Fault {
    let fault = fault::ENGINE_UNAVAILABLE.failed(format!("engine {pid} has exited"), "dockerd ended");
    fault.hint("its own last lines say why; start it with --debug for more")
}

/// Requests name no API version, so each engine answers in its own.
fn ask(mut connection: UnixStream) -> io::Result<UnixStream> {
    connection.set_nonblocking(true)?;
    connection.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    Ok(connection)
}

fn answers(mut connection: UnixStream) -> bool {
    let mut head = [0; 12];
    connection.read_exact(&mut head).is_ok() && head.starts_with(b"HTTP/1.") && head.ends_with(b" 200")
}
