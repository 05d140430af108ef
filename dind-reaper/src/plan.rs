//! What `stop` would do: which containers it would stop, and how long each would have. [`run`] asks the engine; everything
//! else is a pure function of the containers and the budget.

use crate::cli::{Meaning, Stopping};
use crate::container::Container;
use crate::engine::{Engine, runtime};
use crate::options::Options;
use crate::records;
use crate::report::{PlanResult, RunningContainer, millis};
use crate::tasks;
use dind_contract::step::{Step, planned};
use dind_contract::{Draft, Outcome};
use std::path::Path;
use std::time::Duration;

/// Kept back for the kill: after it the engine needs some time to report that a container has ended.
const KILL_RESERVE: Duration = Duration::from_millis(400);
/// As much again for each container, since the engine cleans up after them on few processors.
const KILL_RESERVE_EACH: Duration = Duration::from_millis(50);

/// What containers may take of the budget where the engine ends, too, in percent: the rest is for the engine, to write down
/// how they ended and to clean up after them.
const CONTAINERS_SHARE: u32 = 75;

/// The step of this tool. A plan lists it for each container, and a stop reports it for each that it stopped.
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

/// The step after them, where the stop is the engine's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopEngine<'a> {
    /// The engine's socket.
    pub socket: &'a Path,
}

impl Step for StopEngine<'_> {
    fn op(&self) -> &'static str {
        "stop-engine"
    }

    fn target(&self) -> String {
        self.socket.display().to_string()
    }
}

/// Lists what `stop` would do now.
///
/// # Errors
/// A flag or variable is invalid, or the engine, where its help is needed, does not answer.
pub fn run(stopping: &Stopping, root: &Path) -> Outcome<PlanResult> {
    let options = Options::of_stop(&stopping.engine, &stopping.budget, root)?;
    let containers = match stopping.meaning {
        Meaning::ForGood => {
            runtime()?.block_on(async { Engine::connect(&options.socket).await?.inspect_all().await })?
        }
        Meaning::Shutdown => recorded(&options.data_root),
    };
    Ok(plan(options, stopping.meaning, &containers))
}

/// The running containers as the engine has recorded them, sorted by name.
fn recorded(data_root: &Path) -> Vec<Container> {
    let ids = tasks::running(data_root).into_keys();
    let mut containers: Vec<_> = ids.map(|id| records::container(data_root, &id)).collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    containers
}

/// What a stop of these containers would do.
#[must_use]
pub fn plan(options: Options, meaning: Meaning, containers: &[Container]) -> Draft<PlanResult> {
    let reserve = reserve(options.budget, containers.len());
    let grace = |container: &Container| match meaning {
        Meaning::ForGood => grace(container, options.budget, reserve),
        Meaning::Shutdown => shutdown_grace(container.timeout(), options.budget),
    };
    let running = containers.iter().map(|container| RunningContainer {
        id: container.id.clone(),
        name: container.name.clone(),
        state: container.state.clone(),
        stop_signal: container.stop_signal.clone(),
        stop_timeout: container.stop_timeout,
        grace_ms: millis(grace(container)),
    });
    let result = PlanResult { budget_ms: millis(options.budget), running: running.collect() };
    let steps: Vec<_> = containers.iter().map(|container| StopContainer { name: &container.name }).collect();
    let mut steps = planned(&steps);
    if meaning == Meaning::Shutdown {
        steps.0.append(&mut planned(&[StopEngine { socket: &options.socket }]).0);
    }
    Draft { result, steps, warnings: options.warnings, ..Draft::default() }
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
    container.timeout().map_or(most, |own| own.min(most))
}

/// How long a container has where the engine ends, too: its own stop timeout, or its share of the budget, whichever is less.
#[must_use]
pub fn shutdown_grace(stop_timeout: Option<Duration>, budget: Duration) -> Duration {
    let most = budget * CONTAINERS_SHARE / 100;
    stop_timeout.map_or(most, |own| own.min(most))
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

    #[test]
    fn where_the_engine_ends_too_it_keeps_a_quarter_of_the_budget() {
        let seconds = Duration::from_secs;
        for (own, budget, expected) in [
            (Some(seconds(10)), seconds(8), seconds(6)),
            (Some(seconds(2)), seconds(8), seconds(2)),
            (None, seconds(8), seconds(6)),
            (Some(seconds(0)), seconds(8), seconds(0)),
        ] {
            assert_eq!(shutdown_grace(own, budget), expected);
        }
    }
}
