//! The stop of one container: asked, given its grace, killed, waited for.

use crate::container::{Found, Listed};
use crate::engine::{Engine, Refusal};
use crate::plan::{grace, millis};
use crate::report::{Ended, Outcome};
use futures_util::future::{Either, select};
use std::future::pending;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// What SIGKILL gives.
const KILLED: i64 = 128 + 9;

/// The limits of a stop, by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When all is over.
    pub deadline: Instant,
    /// How long before that the kill has to be sent.
    pub reserve: Duration,
}

/// Stops a container within its limits. `hurry` skips the grace.
///
/// # Errors
/// It may still run; the reason is in words.
pub async fn stop(
    engine: &Engine,
    one: Listed,
    limits: Limits,
    hurry: watch::Receiver<bool>,
) -> (Listed, Result<Ended, String>) {
    let ended = match timeout_at(limits.deadline, attempt(engine, &one, limits, hurry)).await {
        Ok(ended) => ended,
        Err(_) => Err("its end was not seen within the budget".to_owned()),
    };
    (one, ended)
}

async fn attempt(
    engine: &Engine,
    one: &Listed,
    limits: Limits,
    mut hurry: watch::Receiver<bool>,
) -> Result<Ended, String> {
    let begun = Instant::now();
    let report = |outcome, exit_code| {
        let (id, name) = (one.id.clone(), one.name.clone());
        Ok(Ended { id, name, outcome, exit_code, ms: millis(begun.elapsed()) })
    };
    let container = match engine.inspect(one).await {
        Ok(Found::Active(container)) => container,
        Ok(Found::Ended(exit_code)) => return report(Outcome::Vanished, exit_code),
        Err(Refusal::Gone) => return report(Outcome::Vanished, None),
        Err(Refusal::Other(reason)) => return Err(reason),
    };
    let grace = grace(&container, limits.deadline.saturating_duration_since(begun), limits.reserve);

    // Under way before anything is asked: it is what knows the exit status of a container run with `--rm`.
    let mut end = pin!(engine.ended(&one.id));
    let ask = pin!(async {
        // The engine's own kill counts whole seconds. It is the long stop behind ours, should we die first.
        let seconds = grace.as_millis().div_ceil(1000);
        match engine.stop(&container, u64::try_from(seconds).unwrap_or(u64::MAX)).await {
            Ok(()) | Err(Refusal::Gone) => pending().await,
            Err(Refusal::Other(reason)) => reason,
        }
    });
    let (grace_over, hurried) = (pin!(sleep_until(begun + grace)), pin!(hurry.wait_for(|hurry| *hurry)));
    let patience = select(grace_over, hurried);
    let refused = match select(end.as_mut(), select(ask, patience)).await {
        Either::Left((ended, _)) => {
            let exit_code = exit_code(ended)?;
            let by_engine = exit_code == Some(KILLED) && begun.elapsed() >= grace;
            return report(if by_engine { Outcome::Killed } else { Outcome::Graceful }, exit_code);
        }
        Either::Right((Either::Left((reason, _)), _)) => Some(reason),
        Either::Right(_) => None,
    };

    let kill = pin!(async {
        match engine.kill(&one.id).await {
            Ok(()) | Err(Refusal::Gone) => pending().await,
            Err(Refusal::Other(reason)) => reason,
        }
    });
    match select(end, kill).await {
        Either::Left((ended, _)) => {
            let exit_code = exit_code(ended)?;
            // Any other status is its own: it ended while the kill was on its way.
            let killed = exit_code.is_none_or(|code| code == KILLED);
            report(if killed { Outcome::Killed } else { Outcome::Graceful }, exit_code)
        }
        Either::Right((reason, _)) => Err(refused.unwrap_or(reason)),
    }
}

fn exit_code(ended: Result<i64, Refusal>) -> Result<Option<i64>, String> {
    match ended {
        Ok(code) => Ok(Some(code)),
        Err(Refusal::Gone) => Ok(None),
        Err(Refusal::Other(reason)) => Err(reason),
    }
}
