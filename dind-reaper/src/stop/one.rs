//! The stop of one container: ask, wait for its grace period, kill, wait for its end.

use crate::container::{Inspection, Listed};
use crate::engine::{Engine, RequestError};
use crate::plan::grace;
use crate::report::{StopOutcome, StoppedContainer, millis};
use crate::signals;
use futures_util::future::{Either, select};
use std::future::pending;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The exit status that SIGKILL leaves.
const KILLED: i64 = 128 + 9;

/// The limits of a stop, by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The end of the budget.
    pub(super) deadline: Instant,
    /// How long before that the kill has to be sent.
    pub(super) reserve: Duration,
}

/// Stops a container within its limits. Once `grace_skipped` has counted a signal, it is killed at once.
///
/// # Errors
/// It may still run; the reason is in words.
pub(super) async fn stop(
    engine: &Engine,
    one: Listed,
    limits: Limits,
    grace_skipped: watch::Receiver<u32>,
) -> (Listed, Result<StoppedContainer, String>) {
    let ended = match timeout_at(limits.deadline, attempt(engine, &one, limits, grace_skipped)).await {
        Ok(ended) => ended,
        Err(_) => Err("it did not end within the budget".to_owned()),
    };
    (one, ended)
}

async fn attempt(
    engine: &Engine,
    one: &Listed,
    limits: Limits,
    mut grace_skipped: watch::Receiver<u32>,
) -> Result<StoppedContainer, String> {
    let begun = Instant::now();
    let report = |outcome, exit_code| {
        let (id, name) = (one.id.clone(), one.name.clone());
        Ok(StoppedContainer { id, name, outcome, exit_code, ms: millis(begun.elapsed()) })
    };
    let container = match engine.inspect(one).await {
        Ok(Inspection::Active(container)) => container,
        Ok(Inspection::Ended(exit_code)) => return report(StopOutcome::Vanished, exit_code),
        Err(RequestError::NotFound) => return report(StopOutcome::Vanished, None),
        Err(RequestError::Other(reason)) => return Err(reason),
    };
    let grace = grace(&container, limits.deadline.saturating_duration_since(begun), limits.reserve);

    // This wait begins before the stop: of a container run with `--rm` nothing is known after its end.
    let mut end = pin!(engine.wait_until_ended(&one.id));
    let ask = pin!(async {
        // The engine's own kill, in whole seconds, only matters when this process ends before it can kill.
        let seconds = grace.as_millis().div_ceil(1000);
        match engine.stop(&one.id, u64::try_from(seconds).unwrap_or(u64::MAX)).await {
            Ok(()) | Err(RequestError::NotFound) => pending().await,
            Err(RequestError::Other(reason)) => reason,
        }
    });
    let (grace_over, skipped) =
        (pin!(sleep_until(begun + grace)), pin!(signals::come(&mut grace_skipped, 1)));
    let end_of_grace = select(grace_over, skipped);
    let refused = match select(end.as_mut(), select(ask, end_of_grace)).await {
        Either::Left((ended, _)) => {
            let exit_code = exit_code(ended)?;
            let by_engine = exit_code == Some(KILLED) && begun.elapsed() >= grace;
            return report(if by_engine { StopOutcome::Killed } else { StopOutcome::Graceful }, exit_code);
        }
        Either::Right((Either::Left((reason, _)), _)) => Some(reason),
        Either::Right(_) => None,
    };

    let kill = pin!(async {
        match engine.kill(&one.id).await {
            Ok(()) | Err(RequestError::NotFound) => pending().await,
            Err(RequestError::Other(reason)) => reason,
        }
    });
    match select(end, kill).await {
        Either::Left((ended, _)) => {
            let exit_code = exit_code(ended)?;
            // With any other status it ended by itself while the kill was on its way.
            let killed = exit_code.is_none_or(|code| code == KILLED);
            report(if killed { StopOutcome::Killed } else { StopOutcome::Graceful }, exit_code)
        }
        Either::Right((reason, _)) => Err(refused.unwrap_or(reason)),
    }
}

fn exit_code(ended: Result<i64, RequestError>) -> Result<Option<i64>, String> {
    match ended {
        Ok(code) => Ok(Some(code)),
        Err(RequestError::NotFound) => Ok(None),
        Err(RequestError::Other(reason)) => Err(reason),
    }
}
