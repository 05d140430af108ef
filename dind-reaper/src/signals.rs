//! Which signals ask us to stop, and how they reach a stop that is under way.

use crate::fault;
use dind_contract::Fault;
use dind_system::supervisor::{Event, Supervisor};
use nix::sys::signal::Signal;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

/// Whether a signal asks `watch` to stop, or a stop to hurry.
#[must_use]
pub fn asks_to_stop(number: i32) -> bool {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT].iter().any(|signal| *signal as i32 == number)
}

/// Takes over the signals.
///
/// # Errors
/// The kernel refuses.
pub fn take_over() -> Result<Supervisor, Fault> {
    Supervisor::new().map_err(|error| broken("set up", &error))
}

/// Blocks until a signal asks us to stop. Any other one is no business of ours.
///
/// # Errors
/// The kernel refuses to wait.
pub fn wait_for_stop(supervisor: &mut Supervisor) -> Result<(), Fault> {
    loop {
        match supervisor.next(&[], None) {
            Ok(Event::Signal(number)) if asks_to_stop(number) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(broken("wait for", &error)),
        }
    }
}

/// Tells a stop that is under way to hurry, once a signal asks for it. Runs beside the stop, in the same thread, and
/// never ends: a stop without signals is better than none.
pub async fn relay(supervisor: &mut Supervisor, hurry: &watch::Sender<bool>) -> Infallible {
    if let Err(error) = listen(supervisor, hurry).await {
        dind_contract::finish::log(
            crate::TOOL,
            "warning",
            format!("signals are not heard any more: {error}"),
        );
    }
    pending().await
}

async fn listen(supervisor: &mut Supervisor, hurry: &watch::Sender<bool>) -> io::Result<()> {
    // A duplicate, for the supervisor is the one that reads.
    let signals = supervisor.as_fd().try_clone_to_owned()?;
    // SAFETY: the descriptor is owned by the AsyncFd, so it is open as long as it is registered.
    #[allow(unsafe_code)]
    let readable = unsafe { AsyncFd::register(signals) }?;
    loop {
        let mut guard = readable.readable().await?;
        loop {
            match supervisor.next(&[], Some(Instant::now()))? {
                Event::Signal(number) if asks_to_stop(number) => drop(hurry.send(true)),
                Event::Deadline => break,
                _ => {}
            }
        }
        guard.clear_ready();
    }
}

fn broken(verb: &str, error: &io::Error) -> Fault {
    let fault = fault::INIT_FAILED.cannot(verb, "signals", error);
    fault.hint("allow signalfd, prctl and ppoll in the container's seccomp profile")
}
