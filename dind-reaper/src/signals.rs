//! Which signals ask for a stop, and how they reach a stop that is under way.

use crate::{TOOL, fault};
use dind_contract::Fault;
use dind_contract::finish::log;
use dind_system::supervisor::{Event, Supervisor};
use nix::sys::signal::Signal;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

/// Whether a signal asks for a stop, or for the end of its grace period.
#[must_use]
pub fn asks_to_stop(number: i32) -> bool {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT].iter().any(|signal| *signal as i32 == number)
}

/// Takes over the signals.
///
/// # Errors
/// The kernel refuses.
pub fn take_over() -> Result<Supervisor, Fault> {
    Supervisor::new().map_err(|error| failed("cannot set up signal handling", &error))
}

/// Blocks until a signal asks for a stop. All others are ignored.
///
/// # Errors
/// The kernel refuses to wait.
pub fn wait_for_stop(supervisor: &mut Supervisor) -> Result<(), Fault> {
    loop {
        match supervisor.next(&[], None) {
            Ok(Event::Signal(number)) if asks_to_stop(number) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(failed("cannot wait for signals", &error)),
        }
    }
}

/// Counts the signals that ask for a stop. Runs beside what they concern, in the same thread, and never returns: when signals
/// can no longer be read, that goes on without them.
pub async fn relay(supervisor: &mut Supervisor, count: &watch::Sender<u32>) -> Infallible {
    if let Err(error) = listen(supervisor, count).await {
        log(TOOL, "warning", format!("cannot read signals any more: {error}"));
    }
    pending().await
}

async fn listen(supervisor: &mut Supervisor, count: &watch::Sender<u32>) -> io::Result<()> {
    // A duplicate, since the supervisor has to read from its own.
    let signals = supervisor.as_fd().try_clone_to_owned()?;
    // SAFETY: the AsyncFd owns the descriptor, which is therefore open for as long as it is registered.
    #[allow(unsafe_code)]
    let readable = unsafe { AsyncFd::register(signals) }?;
    loop {
        let mut guard = readable.readable().await?;
        loop {
            match supervisor.next(&[], Some(Instant::now()))? {
                Event::Signal(number) if asks_to_stop(number) => count.send_modify(|count| *count += 1),
                Event::Deadline => break,
                _ => {}
            }
        }
        guard.clear_ready();
    }
}

/// Waits until so many have come.
pub async fn come(signals: &mut watch::Receiver<u32>, count: u32) {
    if signals.wait_for(|come| *come >= count).await.is_err() {
        pending::<()>().await;
    }
}

fn failed(what: &str, error: &io::Error) -> Fault {
    let fault = fault::INIT_FAILED.failed(what, error);
    fault.hint("allow signalfd, prctl and ppoll in the container's seccomp profile")
}
