//! `claim`: makes a command the main process of a node that was started with `run --hold`, and waits for its end.
//!
//! The launcher listens on a socket that only root may use. One packet brings everything that the command is to have: a file in
//! memory with its words and its environment, the working directory, and the three standard streams. The claimer stays: signals that
//! it gets go to the command, and it ends with the command's status. `run/claimed.rs` is the launcher's side.

mod terminal;
mod wire;

pub use wire::{Claim, Claimant, Listener};

use crate::executable;
use crate::process::init_failed;
use crate::status::record::{self, Hold, NodeState, Record};
use crate::status::wait::wait;
use crate::{TOOL, fault};
use dind_contract::Fault;
use dind_contract::fault::ErrorObject;
use dind_contract::finish::log;
use dind_system::Root;
use dind_system::supervisor::{Event, Supervisor};
use nix::libc::{SIGCHLD, SIGCONT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;
use wire::Answer;

/// Signals that are the claimer's own: those of job control stop whoever has the terminal, and that is the command.
const OWN: [i32; 4] = [SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU];

/// Claims the node of this container, and gives the command's status. A node that is still being started is waited for.
///
/// # Errors
/// [`fault::ALREADY_CLAIMED`], [`fault::NOT_HELD`], [`fault::NOT_RUNNING`], [`fault::NOT_ROOT`]; the command cannot be executed. The
/// node can still be claimed then.
pub fn claim(command: &[String]) -> Result<u8, Fault> {
    let mut supervisor =
        Supervisor::new().map_err(|error| init_failed("cannot take over signals", &error))?;
    // Not at the cost of the node.
    executable::check(&Root::default(), command.first().map_or("", String::as_str))?;
    let socket = connect()?;
    let early = if terminal::give_up() { without_hangup(&mut supervisor) } else { Vec::new() };
    wire::ask(&socket, command).map_err(|error| unanswered(&error))?;
    // The launcher may have gone; then its end of the socket says so.
    early.into_iter().for_each(|number| _ = wire::send_signal(&socket, number));
    loop {
        match supervisor.next(&[socket.as_fd()], None) {
            Ok(Event::Signal(number)) if !OWN.contains(&number) => {
                let _ = wire::send_signal(&socket, number);
            }
            Ok(Event::Ready(_)) => match wire::answer(&socket) {
                Ok(Answer::Ended(status)) => return Ok(status),
                Ok(Answer::Refused(error)) => return Err(refused(error)),
                Ok(Answer::Gone) => return Err(gone()),
                Err(error) => return Err(unanswered(&error)),
            },
            Ok(_) => {}
            Err(error) => return Err(init_failed("cannot wait for the command", &error)),
        }
    }
}

/// The signals that have come by now, without those that say that the terminal is gone.
fn without_hangup(supervisor: &mut Supervisor) -> Vec<i32> {
    let mut early = Vec::new();
    loop {
        match supervisor.next(&[], Some(Instant::now())) {
            Ok(Event::Signal(SIGHUP | SIGCONT)) | Ok(Event::Exited(..)) => {}
            Ok(Event::Signal(number)) => early.push(number),
            _ => return early,
        }
    }
}

/// The launcher's socket, once there is one.
fn connect() -> Result<OwnedFd, Fault> {
    loop {
        let error = match wire::connect() {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            return Err(unanswered(&error));
        }
        let record = record::read()?;
        if record.state == NodeState::Starting && record.hold.is_some() {
            log(TOOL, "note", "the node is still being started");
            wait(None).map_err(|failed| *failed.fault)?;
            continue;
        }
        return Err(not_to_be_claimed(&record));
    }
}

fn not_to_be_claimed(record: &Record) -> Fault {
    match record.hold {
        Some(Hold::Claimed) => {
            let command = record.command.join(" ");
            let fault =
                fault::ALREADY_CLAIMED.failed("cannot claim the node", format!("it runs `{command}`"));
            fault.hint("take another node; each can be claimed once")
        }
        Some(Hold::Waiting) if !record.state.has_ended() => fault::NOT_RUNNING
            .failed("cannot claim the node", "no launcher answers")
            .hint("see `dind-launch status`, and start the container again"),
        _ => fault::NOT_HELD
            .failed("cannot claim the node", format!("it is {}, and does not wait", record.state.name()))
            .hint("start it with `dind-launch run --hold`, or DIND_HOLD=true"),
    }
}

/// The socket was closed without an answer: somebody else was first, or the node has ended.
fn gone() -> Fault {
    match record::read() {
        Ok(record) => not_to_be_claimed(&record),
        Err(fault) => fault,
    }
}

fn refused(error: ErrorObject) -> Fault {
    let codes = [fault::COMMAND_NOT_FOUND, fault::COMMAND_NOT_EXECUTABLE];
    let code = codes.into_iter().find(|code| code.name == error.code).unwrap_or(fault::INIT_FAILED);
    Fault { code, message: error.message, causes: error.causes, hint: error.hint, details: error.details }
}

fn unanswered(error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let fault = fault::NOT_ROOT.failed("cannot claim the node", "the caller is not root");
        return fault.hint("docker exec --user 0 NODE dind-launch claim -- setpriv --reuid USER …");
    }
    let fault = fault::NOT_RUNNING.failed("cannot claim the node", error);
    fault.hint("see `dind-launch status`")
}
