//! The stop of everything: in parallel, again and again until nothing runs or the budget is spent.

pub mod one;

use crate::cli::Cli;
use crate::container::Listed;
use crate::engine::{Engine, News, runtime};
use crate::options::Options;
use crate::plan::{millis, reserve};
use crate::report::{Ended, Outcome, Stopped};
use crate::{fault, signals};
use dind_contract::{Draft, Failed, Fault, StepState, Steps};
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

/// Between two looks at a container that is still listed after its stop: the engine writes its books a little later.
const SETTLE: Duration = Duration::from_millis(50);

/// An engine that says nothing for so long is asked to stop more containers, whether it has sent the signals or not.
const SILENCE: Duration = Duration::from_millis(200);

/// Stops all running containers. With `now` the grace is skipped from the start.
///
/// # Errors
/// A flag or variable cannot be read, the engine does not answer, or containers are left.
pub fn stop(cli: &Cli, now: bool) -> dind_contract::Outcome<Stopped> {
    let begun = Instant::now();
    let options = Options::read_to_change(cli)?;
    run(options, signals::take_over()?, begun, now)
}

/// Blocks until it is time, then stops all running containers. The budget counts from the signal.
///
/// # Errors
/// As [`stop`]; whether the engine answers is only of interest at the end.
pub fn watch(cli: &Cli) -> dind_contract::Outcome<Stopped> {
    let mut supervisor = signals::take_over()?;
    let options = Options::read_to_change(cli)?;
    signals::wait_for_stop(&mut supervisor)?;
    run(options, supervisor, Instant::now(), false)
}

fn run(
    options: Options,
    mut supervisor: Supervisor,
    begun: Instant,
    now: bool,
) -> dind_contract::Outcome<Stopped> {
    let (hurry, hurried) = watch::channel(now);
    let runtime = runtime()?;
    let mut stopped = Vec::new();
    let ended = runtime.block_on(async {
        let stop = pin!(stop_all(&options, begun, &hurried, &mut stopped));
        match select(stop, pin!(signals::relay(&mut supervisor, &hurry))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((never, _)) => match never {},
        }
    });
    let mut steps = Steps::default();
    for one in &stopped {
        let state = if one.outcome == Outcome::Vanished { StepState::Skipped } else { StepState::Done };
        steps.push("stop-container", &one.name, state);
    }
    match ended {
        Ok(()) => {
            let result = Stopped { budget_ms: millis(options.budget), stopped, left: Vec::new() };
            Ok(Draft { result, steps, warnings: options.warnings, ..Draft::default() })
        }
        Err(fault) => Err(Failed { fault: Box::new(fault), steps }),
    }
}

/// All containers are asked to stop at once, as far as the engine can send signals: each takes it a runc, which takes a
/// processor for tens of milliseconds. More than one for each processor would only put off the end of those that end soon, and
/// what the engine cleans up after each of them waits for the kernel, not for a processor: 50 containers are gone in three
/// quarters of the time.
async fn stop_all(
    options: &Options,
    begun: Instant,
    hurried: &watch::Receiver<bool>,
    stopped: &mut Vec<Ended>,
) -> Result<(), Fault> {
    let deadline = begun + options.budget;
    let engine = &Engine::connect(&options.socket).await?;
    let mut news = pin!(engine.news());
    // One poll sends the request: what starts from here on is heard of, what started before is in the list.
    let _ = news.next().now_or_never();

    let at_once = available_parallelism().map_or(1, usize::from);
    let (mut waiting, mut unasked) = (VecDeque::new(), BTreeSet::new());
    let mut under_way = FuturesUnordered::new();
    let mut busy: BTreeSet<String> = BTreeSet::new();
    let mut unsettled: BTreeMap<String, (String, String)> = BTreeMap::new();
    loop {
        let Ok(listed) = timeout_at(deadline, engine.running()).await else {
            return Err(match unsettled.is_empty() {
                true => engine.failed("list the containers of", "it does not answer".to_owned()),
                false => left(options, &unsettled),
            });
        };
        let listed = listed?;
        if listed.is_empty() && busy.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            unsettled.retain(|id, _| listed.iter().any(|one| one.id == *id));
            for one in listed {
                unsettled.entry(one.id).or_insert((one.name, "it started at the last moment".to_owned()));
            }
            return Err(left(options, &unsettled));
        }
        let again = listed.iter().any(|one| unsettled.contains_key(&one.id) || is_in(stopped, one));
        if again && busy.is_empty() {
            sleep(SETTLE).await;
        }
        let fresh: Vec<Listed> = listed.into_iter().filter(|one| !busy.contains(&one.id)).collect();
        let reserve = reserve(options.budget, busy.len() + fresh.len());
        busy.extend(fresh.iter().map(|one| one.id.clone()));
        waiting.extend(fresh);
        // Until all have ended, or another one has started.
        while !busy.is_empty() {
            while unasked.len() < at_once
                && let Some(one) = waiting.pop_front()
            {
                unasked.insert(one.id.clone());
                under_way.push(one::stop(engine, one, Limits { deadline, reserve }, hurried.clone()));
            }
            let news = pin!(timeout(SILENCE, news.next()));
            match select(under_way.next(), news).await {
                Either::Left((Some((one, ended)), _)) => {
                    busy.remove(&one.id);
                    unasked.remove(&one.id);
                    match ended {
                        Ok(ended) => {
                            unsettled.remove(&one.id);
                            note(stopped, ended);
                        }
                        // The first reason tells more than that the time was up at last.
                        Err(reason) => drop(unsettled.entry(one.id).or_insert((one.name, reason))),
                    }
                }
                Either::Right((Ok(Some(News::Signaled(id))), _)) => drop(unasked.remove(&id)),
                // It is slow, or tells nothing.
                Either::Right((Err(_), _)) => unasked.clear(),
                Either::Left((None, _)) | Either::Right((Ok(_), _)) => break,
            }
        }
    }
}

fn is_in(stopped: &[Ended], one: &Listed) -> bool {
    stopped.iter().any(|ended| ended.id == one.id)
}

/// Keeps the last real end of each container.
fn note(stopped: &mut Vec<Ended>, ended: Ended) {
    let known = stopped.iter().position(|other| other.id == ended.id);
    match known {
        Some(_) if ended.outcome == Outcome::Vanished => {}
        Some(index) => {
            stopped.remove(index);
            stopped.push(ended);
        }
        None => stopped.push(ended),
    }
}

/// `unsettled` maps ids to names and reasons.
fn left(options: &Options, unsettled: &BTreeMap<String, (String, String)>) -> Fault {
    let names: Vec<&str> = unsettled.values().map(|(name, _)| name.as_str()).collect();
    let why = format!("the budget of {}ms is spent", options.budget.as_millis());
    let mut fault = fault::CONTAINERS_LEFT.cannot("stop", names.join(", "), why);
    fault.causes = unsettled.values().map(|(name, reason)| format!("{name}: {reason}")).collect();
    fault.hint("raise DIND_STOP_BUDGET, or try again: dind-reaper stop --now")
}
