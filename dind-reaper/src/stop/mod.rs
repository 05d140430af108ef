//! Stops all containers in parallel, and lists them again until none runs or the budget is spent. `one` stops one of them.

mod one;

use crate::cli::{Meaning, Stopping};
use crate::container::Listed;
use crate::engine::{ContainerEvent, Engine, runtime};
use crate::options::{Options, this_machine};
use crate::plan::{StopContainer, reserve};
use crate::report::{StopOutcome, StopResult, StoppedContainer, millis};
use crate::{fault, shutdown, signals};
use dind_contract::step::Step;
use dind_contract::{Draft, Failed, Fault, Outcome, StepState, Steps};
use dind_system::supervisor::Supervisor;
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use one::Limits;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long to wait before listing again a container whose end was reported: the engine updates its list a little later.
const RELIST_DELAY: Duration = Duration::from_millis(50);

/// An engine that reports nothing for so long is asked to stop more containers, whether it has sent the signals or not.
const MAX_SILENCE: Duration = Duration::from_millis(200);

/// Why containers still run: for each id, its name and the first reason. Later reasons only say that time ran out.
type Failures = BTreeMap<String, (String, String)>;

/// Stops all running containers; with `now`, without a grace period.
///
/// # Errors
/// A flag or variable is invalid, the engine does not answer, or containers are left.
pub fn stop(stopping: &Stopping, now: bool) -> Outcome<StopResult> {
    let begun = Instant::now();
    let options = options(stopping)?;
    run(stopping.meaning, options, signals::take_over()?, begun, now)
}

/// Waits for a signal, then stops all running containers. The budget counts from the signal.
///
/// # Errors
/// As [`stop`]. Whether the engine answers is not checked before the signal.
pub fn watch(stopping: &Stopping) -> Outcome<StopResult> {
    let mut supervisor = signals::take_over()?;
    let options = options(stopping)?;
    signals::wait_for_stop(&mut supervisor)?;
    run(stopping.meaning, options, supervisor, Instant::now(), false)
}

fn options(stopping: &Stopping) -> Result<Options, Fault> {
    Options::of_stop(&stopping.engine, &stopping.budget, &this_machine()?)
}

fn run(
    meaning: Meaning,
    options: Options,
    supervisor: Supervisor,
    begun: Instant,
    now: bool,
) -> Outcome<StopResult> {
    match meaning {
        Meaning::ForGood => for_good(options, supervisor, begun, now),
        Meaning::Shutdown => shutdown::run(options, supervisor, begun.into_std(), now),
    }
}

fn for_good(options: Options, mut supervisor: Supervisor, begun: Instant, now: bool) -> Outcome<StopResult> {
    let (skip_grace, grace_skipped) = watch::channel(u32::from(now));
    let runtime = runtime()?;
    let mut stopped = Vec::new();
    let ended = runtime.block_on(async {
        let stop = pin!(stop_all(&options, begun, &grace_skipped, &mut stopped));
        match select(stop, pin!(signals::relay(&mut supervisor, &skip_grace))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((never, _)) => match never {},
        }
    });
    let steps = steps(&stopped);
    match ended {
        Ok(()) => {
            let result =
                StopResult { budget_ms: millis(options.budget), stopped, left: Vec::new(), engine: None };
            Ok(Draft { result, steps, warnings: options.warnings, ..Draft::default() })
        }
        Err(fault) => Err(Failed { fault: Box::new(fault), steps }),
    }
}

/// What was done, as the plan names it. A container that had ended before it was asked is a skipped step.
fn steps(stopped: &[StoppedContainer]) -> Steps {
    let mut steps = Steps::default();
    for one in stopped {
        let step = StopContainer { name: &one.name };
        let vanished = one.outcome == StopOutcome::Vanished;
        steps.push(step.op(), step.target(), if vanished { StepState::Skipped } else { StepState::Done });
    }
    steps
}

/// Stops one container for each processor at a time, and the next as soon as the engine reports that it has sent a signal.
/// To send one, the engine runs a runc, which occupies a processor for tens of milliseconds; more at a time would only delay
/// the end of those that end soon. The engine's clean-up after a container waits for the kernel instead, so it holds up nobody
/// here. 50 containers are gone in three quarters of the time that asking them all at once takes. But the last of a hundred must
/// not wait for its signal until there is no time left for its grace period: from an eighth of the budget on, all are asked.
async fn stop_all(
    options: &Options,
    begun: Instant,
    grace_skipped: &watch::Receiver<u32>,
    stopped: &mut Vec<StoppedContainer>,
) -> Result<(), Fault> {
    let deadline = begun + options.budget;
    let engine = &Engine::connect(&options.socket).await?;
    let mut events = pin!(engine.events());
    // The first poll sends the request. A container that starts later is reported; one that started earlier is in the list.
    let _ = events.next().now_or_never();

    let processors = available_parallelism().map_or(1, usize::from);
    let ask_all = begun + options.budget / 8;
    // Ids of all containers that are queued or being stopped, and of those whose signal has not been sent yet.
    let (mut unfinished, mut unsignaled) = (BTreeSet::new(), BTreeSet::new());
    let (mut queue, mut stops) = (VecDeque::new(), FuturesUnordered::new());
    let mut failures = Failures::new();
    loop {
        let Ok(listed) = timeout_at(deadline, engine.list()).await else {
            return Err(match failures.is_empty() {
                true => engine.failed("list the containers of", "it does not answer"),
                false => containers_left(options, &failures),
            });
        };
        let listed = listed?;
        if listed.is_empty() && unfinished.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            failures.retain(|id, _| listed.iter().any(|one| one.id == *id));
            for Listed { id, name } in listed {
                failures
                    .entry(id)
                    .or_insert((name, "it started just before the budget was spent".to_owned()));
            }
            return Err(containers_left(options, &failures));
        }
        let again = |one: &Listed| {
            failures.contains_key(&one.id) || stopped.iter().any(|stopped| stopped.id == one.id)
        };
        if unfinished.is_empty() && listed.iter().any(again) {
            sleep(RELIST_DELAY).await;
        }
        let new: Vec<Listed> = listed.into_iter().filter(|one| !unfinished.contains(&one.id)).collect();
        let reserve = reserve(options.budget, unfinished.len() + new.len());
        unfinished.extend(new.iter().map(|one| one.id.clone()));
        queue.extend(new);
        // Until all have ended, or another one has started.
        while !unfinished.is_empty() {
            let at_once = if Instant::now() < ask_all { processors } else { usize::MAX };
            while unsignaled.len() < at_once
                && let Some(one) = queue.pop_front()
            {
                unsignaled.insert(one.id.clone());
                stops.push(one::stop(engine, one, Limits { deadline, reserve }, grace_skipped.clone()));
            }
            let event = pin!(timeout(MAX_SILENCE, events.next()));
            match select(stops.next(), event).await {
                Either::Left((Some((one, ended)), _)) => {
                    unfinished.remove(&one.id);
                    unsignaled.remove(&one.id);
                    match ended {
                        Ok(ended) => {
                            failures.remove(&one.id);
                            record(stopped, ended);
                        }
                        Err(reason) => drop(failures.entry(one.id).or_insert((one.name, reason))),
                    }
                }
                Either::Right((Ok(Some(ContainerEvent::Signaled(id))), _)) => drop(unsignaled.remove(&id)),
                Either::Right((Err(_), _)) => unsignaled.clear(),
                Either::Left((None, _)) | Either::Right((Ok(_), _)) => break,
            }
        }
    }
}

/// Keeps the last end of each container. That it has vanished says less than an end before.
fn record(stopped: &mut Vec<StoppedContainer>, ended: StoppedContainer) {
    let known = stopped.iter().position(|other| other.id == ended.id);
    match known {
        Some(_) if ended.outcome == StopOutcome::Vanished => {}
        Some(index) => {
            stopped.remove(index);
            stopped.push(ended);
        }
        None => stopped.push(ended),
    }
}

fn containers_left(options: &Options, failures: &Failures) -> Fault {
    let names: Vec<_> = failures.values().map(|(name, _)| format!("`{name}`")).collect();
    let why = format!("the budget of {}ms is spent", options.budget.as_millis());
    let mut fault = fault::CONTAINERS_LEFT.failed(format!("cannot stop {}", names.join(", ")), why);
    fault.causes = failures.values().map(|(name, reason)| format!("{name}: {reason}")).collect();
    fault.hint("raise DIND_STOP_BUDGET, or kill them: dind-reaper stop --now")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Container;
    use crate::plan::plan;

    fn ops_and_targets(steps: &Steps) -> Vec<(&str, &str)> {
        steps.0.iter().map(|step| (step.op.as_str(), step.target.as_str())).collect()
    }

    fn ended(name: &str, outcome: StopOutcome) -> StoppedContainer {
        StoppedContainer { id: name.to_owned(), name: name.to_owned(), outcome, exit_code: None, ms: 0 }
    }

    #[test]
    fn a_stop_reports_the_steps_of_its_plan() {
        let containers =
            ["web", "worker", "late"].map(|name| Container { name: name.to_owned(), ..Container::default() });
        let options = Options {
            socket: "/run/d.sock".into(),
            budget: Duration::from_secs(9),
            data_root: "/var/lib/docker".into(),
            warnings: Vec::new(),
        };
        let planned = plan(options, Meaning::ForGood, &containers).steps;
        let done = steps(&[
            ended("web", StopOutcome::Graceful),
            ended("worker", StopOutcome::Killed),
            ended("late", StopOutcome::Vanished),
        ]);
        assert_eq!(ops_and_targets(&planned), ops_and_targets(&done));
        let states = |steps: &Steps| steps.0.iter().map(|step| step.state).collect::<Vec<_>>();
        assert_eq!(states(&planned), [StepState::Planned; 3]);
        assert_eq!(states(&done), [StepState::Done, StepState::Done, StepState::Skipped]);
    }

    #[test]
    fn a_container_that_came_back_is_reported_as_it_ended_last() {
        let mut stopped = Vec::new();
        for (name, outcome) in [
            ("web", StopOutcome::Graceful),
            ("worker", StopOutcome::Graceful),
            ("web", StopOutcome::Killed),
            ("worker", StopOutcome::Vanished),
        ] {
            record(&mut stopped, ended(name, outcome));
        }
        let left: Vec<_> = stopped.iter().map(|one| (one.name.as_str(), one.outcome)).collect();
        assert_eq!(left, [("worker", StopOutcome::Graceful), ("web", StopOutcome::Killed)]);
    }
}
