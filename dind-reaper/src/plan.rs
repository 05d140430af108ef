//! How long each container gets: a pure function of its own wish and of what is left of the budget.

use crate::cli::Cli;
use crate::container::{Container, Found};
use crate::engine::{Engine, Refusal, runtime};
use crate::options::Options;
use crate::report::{Planned, Running};
use dind_contract::{Draft, Fault, Outcome, StepState, Steps};
use futures_util::future::join_all;
use std::time::Duration;

/// Kept back for the kill: a killed container needs some time until the engine says that it is gone.
const KILL: Duration = Duration::from_millis(400);
/// And so much more for each container: the engine takes them down on few cores.
const KILL_EACH: Duration = Duration::from_millis(50);

/// What of the budget is kept back for killing this many containers; never more than three quarters of it.
#[must_use]
pub fn reserve(budget: Duration, containers: usize) -> Duration {
    let each = KILL_EACH.saturating_mul(u32::try_from(containers).unwrap_or(u32::MAX));
    KILL.saturating_add(each).min(budget * 3 / 4)
}

/// What a container gets between being asked and being killed: its own stop timeout, or all that is left.
#[must_use]
pub fn grace(container: &Container, left: Duration, reserve: Duration) -> Duration {
    let most = left.saturating_sub(reserve);
    u64::try_from(container.stop_timeout).map_or(most, |seconds| Duration::from_secs(seconds).min(most))
}

/// Says what `stop` would do now.
///
/// # Errors
/// A flag or variable cannot be read, or the engine does not answer.
pub fn run(cli: &Cli) -> Outcome<Planned> {
    let options = Options::read(cli)?;
    let containers = runtime()?.block_on(async {
        let engine = Engine::connect(&options.socket).await?;
        observe(&engine).await
    })?;
    Ok(plan(&options, &containers))
}

/// Everything that `stop` would stop, sorted by name.
///
/// # Errors
/// The engine does not answer as it should.
async fn observe(engine: &Engine) -> Result<Vec<Container>, Fault> {
    let listed = engine.running().await?;
    let mut containers = Vec::new();
    for found in join_all(listed.iter().map(|one| engine.inspect(one))).await {
        match found {
            Ok(Found::Active(container)) => containers.push(container),
            Ok(Found::Ended(_)) | Err(Refusal::Gone) => {}
            Err(Refusal::Other(reason)) => return Err(engine.failed("inspect a container at", reason)),
        }
    }
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(containers)
}

fn plan(options: &Options, containers: &[Container]) -> Draft<Planned> {
    let reserve = reserve(options.budget, containers.len());
    let mut steps = Steps::default();
    let running = containers.iter().map(|container| {
        steps.push("stop-container", &container.name, StepState::Planned);
        Running {
            id: container.id.clone(),
            name: container.name.clone(),
            state: container.state.clone(),
            stop_signal: container.stop_signal.clone(),
            stop_timeout: container.stop_timeout,
            grace_ms: millis(grace(container, options.budget, reserve)),
        }
    });
    let result = Planned { budget_ms: millis(options.budget), running: running.collect() };
    Draft { result, steps, warnings: options.warnings.clone(), ..Draft::default() }
}

/// Milliseconds for a document.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_the_least_of_wish_and_rest() {
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
