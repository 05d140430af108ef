//! `reclaim`: keeps a part of the data root's disk free, by what nobody needs: unused images and build cache, oldest first, by the
//! engine's own API and never by force.
//!
//! [`disk`] is how full it is, [`pick`] which image goes next, `round` takes until it is enough, and [`report`] says what. Nobody reports that a file system
//! fills (fanotify has errors only, and quotas count for users and projects), so it is looked at, the more often the less is left.

pub mod disk;
pub mod pick;
pub mod report;
mod round;

use crate::cli::ReclaimArgs;
use crate::engine::{Engine, runtime};
use crate::options::{Options, this_machine};
use crate::{fault, signals};
use dind_contract::cli::given;
use dind_contract::{Draft, Fault, Outcome, Warning, value};
use disk::{Usage, usage};
use futures_util::future::{Either, select};
use pick::{LEAST_AGE, Needed};
use report::ReclaimResult;
use round::Round;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long to wait for a new try after one that has found nothing, or no engine; the longer time where the disk is as full as then.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_UNCHANGED: Duration = Duration::from_secs(60);

/// Reclaims.
///
/// # Errors
/// A flag is invalid, or the engine does not answer; with `--wait` it is tried again.
pub fn reclaim(args: &ReclaimArgs) -> Outcome<ReclaimResult> {
    let options = Options::of_engine(&args.engine, &this_machine()?)?;
    let above = above(given(args.above.as_ref()))?;
    usage(&options.data_root)?;
    let keep = args.keep.iter().cloned().collect();
    let mut supervisor = signals::take_over()?;
    let (interrupt, mut interrupted) = watch::channel(0);
    let result = runtime()?.block_on(async {
        let work = async {
            let mut attempt =
                Attempt { options: &options, above, needed: Needed { keep, ..Needed::default() } };
            if args.wait { attempt.wait(args.exhausted).await } else { attempt.now().await }
        };
        let signal = pin!(signals::come(&mut interrupted, 1));
        let work = pin!(work);
        let work = select(work, signal);
        match select(work, pin!(signals::relay(&mut supervisor, &interrupt))).await {
            Either::Left((Either::Left((result, _)), _)) => result,
            Either::Left((Either::Right(_), _)) => {
                let disk = usage(&options.data_root)?;
                Ok(ReclaimResult {
                    above_percent: above,
                    before: disk,
                    after: disk,
                    ..ReclaimResult::default()
                })
            }
            Either::Right((never, _)) => match never {},
        }
    })?;
    let mut warnings = options.warnings;
    warnings.extend(result.exhausted.then(|| exhausted(&result)));
    let mut draft = Draft { warnings, ..Draft::default() };
    for taken in &result.taken {
        draft.steps.push(taken.op(), &taken.name, dind_contract::StepState::Done);
    }
    draft.result = result;
    Ok(draft)
}

struct Attempt<'a> {
    options: &'a Options,
    above: u8,
    needed: Needed,
}

impl Attempt<'_> {
    async fn now(&mut self) -> Result<ReclaimResult, Fault> {
        let before = usage(&self.options.data_root)?;
        let mut result =
            ReclaimResult { above_percent: self.above, before, after: before, ..ReclaimResult::default() };
        if !before.is_above(self.above) {
            return Ok(result);
        }
        let engine = Engine::connect(&self.options.socket).await?;
        let mut round = Round {
            engine: &engine,
            data_root: &self.options.data_root,
            above: self.above,
            needed: self.needed.clone(),
            disk: before,
            taken: Vec::new(),
        };
        let ran = round.run().await;
        (result.after, result.taken) = (round.disk, round.taken);
        match ran {
            // What has been taken is reported, whatever came after it.
            Err(fault) if result.taken.is_empty() => return Err(fault),
            Err(_) => {}
            Ok(()) => result.exhausted = result.after.is_above(self.above),
        }
        Ok(result)
    }

    /// Until there is something to report.
    async fn wait(&mut self, mut exhausted: bool) -> Result<ReclaimResult, Fault> {
        let mut last = None::<(Instant, u64)>;
        loop {
            let disk = usage(&self.options.data_root)?;
            let is_above = disk.is_above(self.above);
            exhausted &= is_above;
            if is_above && is_due(last, disk.used_bytes) {
                match self.now().await {
                    Ok(result) if !result.taken.is_empty() || result.exhausted && !exhausted => {
                        return Ok(result);
                    }
                    Err(fault) if fault.code == fault::ENGINE_DENIED => return Err(fault),
                    // The engine is being started again, or stops.
                    Ok(_) | Err(_) => {}
                }
                let used = usage(&self.options.data_root)?.used_bytes;
                last = Some((Instant::now(), used));
            }
            sleep(disk.next_look()).await;
        }
    }
}

/// Whether to try again after a try that has found nothing.
fn is_due(last: Option<(Instant, u64)>, used: u64) -> bool {
    last.is_none_or(|(time, was)| time.elapsed() >= if used == was { RETRY_UNCHANGED } else { RETRY })
}

fn above(text: Option<&str>) -> Result<u8, Fault> {
    let hint = "set DIND_STORAGE_RECLAIM=85%, or leave it out to keep all images";
    let Some(text) = text else {
        return Err(fault::RECLAIM_INVALID.failed("cannot reclaim space", "no share is named").hint(hint));
    };
    value::percent(text)
        .map_err(|cause| fault::RECLAIM_INVALID.invalid("DIND_STORAGE_RECLAIM", text, cause).hint(hint))
}

fn exhausted(result: &ReclaimResult) -> Warning {
    let Usage { used_bytes, available_bytes, used_percent } = result.after;
    let message = format!(
        "{used_percent} % of the disk are in use, more than {} %, and no unused image older than {} minutes is left: {used_bytes} \
         bytes are in use, {available_bytes} are free",
        result.above_percent,
        LEAST_AGE.as_secs() / 60
    );
    let hint = "remove containers and volumes that are not needed: `docker system df --verbose` lists them; or give the node more space";
    Warning::new(fault::RECLAIM_EXHAUSTED, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!(above(Some("85%")), Ok(85));
        for text in [None, Some("0"), Some("100%"), Some("full")] {
            let fault = above(text).unwrap_err();
            assert!(fault.code == fault::RECLAIM_INVALID && fault.hint.contains("85%"), "{fault:?}");
        }
    }

    #[test]
    fn a_try_that_found_nothing_is_not_repeated_at_once() {
        let now = Instant::now();
        assert!(is_due(None, 7));
        assert!(!is_due(Some((now, 7)), 7) && !is_due(Some((now, 7)), 8));
        let before = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        assert!(is_due(Some((before(6), 7)), 8) && !is_due(Some((before(6), 7)), 7));
        assert!(is_due(Some((before(61), 7)), 7));
    }
}
