//! `drain`: waits until no container runs any more. Stops none, and starts none.
//!
//! The engine reports ends and starts, and the list of containers is the truth after each report. Where no engine listens, its
//! containers may still run: then their processes are watched, and without any of them the drain is over.

use crate::cli::EngineArgs;
use crate::container::Listed;
use crate::engine::{Engine, check_listening, runtime};
use crate::options::{Options, this_machine};
use crate::report::millis;
use crate::{fault, records, signals, tasks};
use dind_contract::cli::given;
use dind_contract::{Draft, Fault, Outcome, value};
use dind_system::time_of_day;
use futures_util::future::{Either, select};
use futures_util::stream::StreamExt;
use schemars::JsonSchema;
use serde::Serialize;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The engine updates its list a little after it has reported an end.
const RELIST_DELAY: Duration = Duration::from_millis(50);
/// How long a busy engine may take for that, and how long a report may be missing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at processes, where no engine reports anything.
const LOOK_AT_TASKS: Duration = Duration::from_millis(100);

/// How a drain ended. Where containers are left, `error.details` has the same fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DrainResult {
    /// How long it took, in milliseconds.
    pub waited_ms: u64,
    /// The containers that still run, sorted by name. Always empty here: what is left is an error.
    pub left: Vec<LeftContainer>,
}

/// A container that still runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct LeftContainer {
    /// The name, without the leading slash of Docker's API.
    pub name: String,
    /// The full id.
    pub id: String,
}

impl From<Listed> for LeftContainer {
    fn from(Listed { id, name }: Listed) -> Self {
        Self { name, id }
    }
}

/// Waits; without a timeout for as long as it takes.
///
/// # Errors
/// A flag is invalid; the engine may not be asked; containers still run at the timeout, or when a signal comes.
pub fn drain(engine: &EngineArgs, limit: Option<&String>) -> Outcome<DrainResult> {
    let begun = Instant::now();
    let options = Options::of_engine(engine, &this_machine()?)?;
    let limit = given(limit).map(duration).transpose()?;
    let mut supervisor = signals::take_over()?;
    let (interrupt, mut interrupted) = watch::channel(0);
    let mut left = Vec::new();
    let ended = runtime()?.block_on(async {
        let end = async {
            match limit {
                Some(limit) => sleep_until(begun + limit).await,
                None => std::future::pending().await,
            }
        };
        let work = async {
            let drained = pin!(until_drained(&options, &mut left));
            let signal = pin!(signals::come(&mut interrupted, 1));
            match select(drained, select(signal, pin!(end))).await {
                Either::Left((drained, _)) => drained.map(|()| None),
                Either::Right((Either::Left(_), _)) => Ok(Some("a signal ended the wait".to_owned())),
                Either::Right((Either::Right(_), _)) => {
                    Ok(Some(format!("the timeout of {} ms has passed", millis(begun.elapsed()))))
                }
            }
        };
        match select(pin!(work), pin!(signals::relay(&mut supervisor, &interrupt))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((never, _)) => match never {},
        }
    });
    left.sort();
    let result = DrainResult { waited_ms: millis(begun.elapsed()), left };
    match ended? {
        None => Ok(Draft { result, warnings: options.warnings, ..Draft::default() }),
        Some(why) => Err(containers_left(&result, &why).into()),
    }
}

fn duration(text: &str) -> Result<Duration, Fault> {
    value::duration(text).map_err(|cause| {
        let fault = fault::TIMEOUT_INVALID.invalid("--timeout", text, cause);
        fault.hint("write --timeout 30s, or leave it out")
    })
}

fn containers_left(result: &DrainResult, why: &str) -> Fault {
    let names: Vec<_> = result.left.iter().map(|one| format!("`{}`", one.name)).collect();
    // Before the first answer nothing is known.
    let what = if names.is_empty() {
        "cannot drain the node".to_owned()
    } else {
        format!("cannot drain {}", names.join(", "))
    };
    let mut fault = fault::CONTAINERS_LEFT.failed(what, why);
    fault.causes = result.left.iter().map(|one| format!("{} {}", one.name, one.id)).collect();
    fault.hint("wait longer, or stop them: dind-reaper stop").details(result)
}

/// `left` is what was seen last.
async fn until_drained(options: &Options, left: &mut Vec<LeftContainer>) -> Result<(), Fault> {
    loop {
        match Engine::connect(&options.socket).await {
            Ok(engine) => {
                if watch_engine(&engine, left).await {
                    return Ok(());
                }
                sleep(LOOK_AT_TASKS).await;
            }
            Err(fault) if fault.code == fault::ENGINE_DENIED => return Err(fault),
            Err(_) => {
                *left = running_tasks(options);
                // One that listens and does not answer may start more.
                if left.is_empty() && check_listening(&options.socket).is_err() {
                    return Ok(());
                }
                sleep(LOOK_AT_TASKS).await;
            }
        }
    }
}

/// Returns true when no container runs, and false when the engine no longer answers.
async fn watch_engine(engine: &Engine, left: &mut Vec<LeftContainer>) -> bool {
    let mut events = pin!(engine.history(time_of_day(), &["die", "destroy", "start", "stop", "unpause"]));
    loop {
        let Ok(Ok(listed)) = timeout(LOOK_EVERY, engine.list()).await else { return false };
        *left = listed.into_iter().map(LeftContainer::from).collect();
        if left.is_empty() {
            return true;
        }
        match timeout(LOOK_EVERY, events.next()).await {
            Ok(None) => return false,
            Ok(Some(_)) => sleep(RELIST_DELAY).await,
            Err(_) => {}
        }
    }
}

fn running_tasks(options: &Options) -> Vec<LeftContainer> {
    let name = |id: &str| records::container(&options.data_root, id).name;
    tasks::running(&options.data_root).into_keys().map(|id| LeftContainer { name: name(&id), id }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_named_for_people_and_for_programs() {
        let one = LeftContainer { name: "web".to_owned(), id: "0a".to_owned() };
        let result = DrainResult { waited_ms: 7, left: vec![one] };
        let fault = containers_left(&result, "the timeout of 7 ms has passed");
        assert_eq!(fault.message, "cannot drain `web`: the timeout of 7 ms has passed");
        assert_eq!(fault.details.unwrap()["left"][0]["id"], "0a");
        assert_eq!(duration("soon").unwrap_err().code, fault::TIMEOUT_INVALID);
    }
}
