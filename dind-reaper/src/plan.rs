//! What `stop` would do: which containers it would stop, and how long each would have. [`run`] asks the engine; everything
//! else is a pure function of the containers and the budget.

use crate::cli::Cli;
use crate::container::Container;
use crate::engine::{Engine, runtime};
use crate::options::Options;
use crate::report::{PlanResult, RunningContainer, millis};
use dind_contract::step::{Step, planned};
use dind_contract::{Draft, Outcome};
use std::time::Duration;

/// Kept back for the kill: after it the engine needs some time to report that a container has ended.
const KILL_RESERVE: Duration = Duration::from_millis(400);
/// As much again for each container, since the engine cleans up after them on few processors.
const KILL_RESERVE_EACH: Duration = Duration::from_millis(50);

/// The one step of this tool. A plan lists it for each container, and a stop reports it for each that it stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopContainer<'a> {
    /// The container's name.
    pub name: &'a str,
}

impl Step for StopContainer<'_> {
    fn op(&self) -> &'static str {
        "stop-container"
    }

    fn target(&self) -> String {
        self.name.to_owned()
    }
}

/// Lists what `stop` would do now.
///
/// # Errors
/// A flag or variable is invalid, or the engine does not answer.
pub fn run(cli: &Cli) -> Outcome<PlanResult> {
    let options = Options::read(cli)?;
    let containers =
        runtime()?.block_on(async { Engine::connect(&options.socket).await?.inspect_all().await })?;
    Ok(plan(options, &containers))
}

/// What a stop of these containers would do.
#[must_use]
pub fn plan(options: Options, containers: &[Container]) -> Draft<PlanResult> {
    let reserve = reserve(options.budget, containers.len());
    let running = containers.iter().map(|container| RunningContainer {
        id: container.id.clone(),
        name: container.name.clone(),
        state: container.state.clone(),
        stop_signal: container.stop_signal.clone(),
        stop_timeout: container.stop_timeout,
        grace_ms: millis(grace(container, options.budget, reserve)),
    });
    let result = PlanResult { budget_ms: millis(options.budget), running: running.collect() };
    let steps: Vec<_> = containers.iter().map(|container| StopContainer { name: &container.name }).collect();
    Draft { result, steps: planned(&steps), warnings: options.warnings, ..Draft::default() }
}

/// How much of the budget is kept back for killing this many containers: at most three quarters.
#[must_use]
pub fn reserve(budget: Duration, containers: usize) -> Duration {
    let each = KILL_RESERVE_EACH.saturating_mul(u32::try_from(containers).unwrap_or(u32::MAX));
    KILL_RESERVE.saturating_add(each).min(budget * 3 / 4)
}

/// How long a container has between its stop signal and the kill: its own stop timeout, or what is left of the budget
/// without the reserve, whichever is less.
#[must_use]
pub fn grace(container: &Container, left: Duration, reserve: Duration) -> Duration {
    let most = left.saturating_sub(reserve);
    u64::try_from(container.stop_timeout).map_or(most, |seconds| Duration::from_secs(seconds).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_is_the_less_of_stop_timeout_and_remaining_budget() {
        let ms = Duration::from_millis;
        // budget, containers, own stop timeout, grace
        for (budget, containers, stop_timeout, expected) in [
            (9_000, 1, 10, 8_550),
            (9_000, 1, 2, 2_000),
            (9_000, 1, 0, 0),
            (9_000, 1, -1, 8_550),
            (9_000, 3, 10, 8_450),
            (9_000, 30, 10, 7_100),
            (9_000, 1_000, 10, 2_250),
            (1_500, 1, 10, 1_050),
            (1_500, 3, 1, 950),
            (500, 1, 10, 125),
            (60_000, 1, i64::MAX, 59_550),
        ] {
            let container = Container { stop_timeout, ..Container::default() };
            let got = grace(&container, ms(budget), reserve(ms(budget), containers));
            assert_eq!(got, ms(expected), "{budget} {containers} {stop_timeout}");
        }
        assert_eq!(grace(&Container { stop_timeout: 10, ..Container::default() }, ms(300), ms(450)), ms(0));
    }
}
