//! What becomes of an engine that dies while the main process runs. By default the node ends with it; on request the dead
//! daemon, dockerd or containerd, is started again.
//!
//! containerd's shims outlive both, so inner containers survive the death of containerd. A new dockerd ends those of the
//! one before it and starts again what has a restart policy, as after any crash of an engine without live-restore.

use crate::engine::{self, Part};
use crate::fault;
use crate::run::state::Life;
use crate::process::{Halt, Node, Woken};
use crate::status::record::NodeState;
use crate::{TOOL, options::Options};
use dind_contract::Fault;
use dind_contract::finish::tell;
use std::fmt;
use std::time::{Duration, Instant};

/// What to do when dockerd or containerd dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The main process is stopped, and the node ends with 125.
    #[default]
    No,
    /// The dead daemon is started again, at most this often in a row; for ever without a number.
    OnFailure(Option<u32>),
}

impl Policy {
    /// Reads `no`, `on-failure`, or `on-failure:N`: the words of `docker run --restart`.
    ///
    /// # Errors
    /// [`fault::RESTART_INVALID`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match text.split_once(':').map_or((text, None), |(word, number)| (word, Some(number))) {
            ("no", None) => return Ok(Self::No),
            ("on-failure", None) => return Ok(Self::OnFailure(None)),
            ("on-failure", Some(number)) => {
                if let Ok(number @ 1..) = number.parse() {
                    return Ok(Self::OnFailure(Some(number)));
                }
            }
            _ => {}
        }
        let fault = fault::RESTART_INVALID.cannot(
            "read DIND_ENGINE_RESTART",
            text,
            "it is neither `no` nor `on-failure:N`",
        );
        Err(fault.hint("set DIND_ENGINE_RESTART=on-failure:5, or leave it out to end with the engine"))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => write!(f, "no"),
            Self::OnFailure(None) => write!(f, "on-failure"),
            Self::OnFailure(Some(most)) => write!(f, "on-failure:{most}"),
        }
    }
}

/// The pauses between restarts, as Docker's own restart policies make them (moby's restartmanager): 100 ms, doubled up to
/// a minute, from the beginning again after ten seconds of life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts(u32);

impl Attempts {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60);
    const SETTLED: Duration = Duration::from_secs(10);

    /// The pause before the next start of a daemon that has lived so long; nothing where the policy allows none.
    pub fn next(&mut self, policy: Policy, lived: Duration) -> Option<Duration> {
        if lived >= Self::SETTLED {
            self.0 = 0;
        }
        let allowed = match policy {
            Policy::No => false,
            Policy::OnFailure(most) => most.is_none_or(|most| self.0 < most),
        };
        let pause = Self::FIRST.saturating_mul(2u32.saturating_pow(self.0)).min(Self::LONGEST);
        self.0 = self.0.saturating_add(1);
        allowed.then_some(pause)
    }
}

/// Starts a dead daemon again, as far as the policy allows. One that dies again while it starts is left for the next call.
///
/// # Errors
/// The daemon's death, where it stays dead; the signal that asks us to stop.
pub fn revive(node: &mut Node, life: &mut Life, part: Part) -> Result<(), Halt> {
    let Options { engine_restart, ready_timeout, .. } = life.options;
    let Some(dead) = life.daemon(part).take() else { return Ok(()) };
    let death = engine::died(node, &dead);
    let Some(pause) = life.attempts.next(engine_restart, dead.started.elapsed()) else {
        *life.daemon(part) = Some(dead);
        return Err(death.into());
    };
    tell(TOOL, "warning", format!("{death}; it is started again in {} ms", pause.as_millis()));
    life.keeper.begin(&format!("restart-{}", part.name()));
    life.engine_ready &= part != Part::Dockerd;
    life.keeper.forget(part);
    if !wait_out(node, pause)? {
        return Ok(());
    }
    life.start(node, part)?;
    life.keeper.record.engine_restarts += 1;
    let Some(daemon) = life.daemon(part).as_ref() else { return Ok(()) };
    let pid = daemon.pid;
    match engine::wait_ready(node, daemon, None, ready_timeout) {
        Err(Halt::Fault(_)) if node.ending(pid).is_some() => return Ok(()),
        other => other?,
    }
    life.engine_ready |= part == Part::Dockerd;
    life.keeper.enter(NodeState::Running);
    Ok(())
}

/// Lets a pause pass. Returns whether the main process still runs after it.
fn wait_out(node: &mut Node, pause: Duration) -> Result<bool, Halt> {
    let deadline = Instant::now() + pause;
    while !node.main_has_ended() {
        match node.wait(&[], Some(deadline))? {
            Woken::Deadline => return Ok(true),
            Woken::Stop(number) => return Err(Halt::Asked(number)),
            Woken::Ended(_) | Woken::Ready(_) => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_dockers_words() {
        for (text, policy) in [
            ("no", Policy::No),
            ("on-failure", Policy::OnFailure(None)),
            ("on-failure:1", Policy::OnFailure(Some(1))),
        ] {
            assert_eq!((Policy::parse(text), policy.to_string()), (Ok(policy), text.to_owned()));
        }
        for text in
            ["always", "no:1", "on-failure:0", "on-failure:", "on-failure:-1", "on-failure:x", "On-Failure"]
        {
            assert_eq!(Policy::parse(text).unwrap_err().code, fault::RESTART_INVALID, "{text}");
        }
    }

    #[test]
    fn pauses_double_and_a_life_of_ten_seconds_starts_over() {
        let (policy, short) = (Policy::OnFailure(Some(3)), Duration::from_secs(9));
        let mut attempts = Attempts::default();
        let pauses: Vec<_> =
            (0..4).map(|_| attempts.next(policy, short).map(|pause| pause.as_millis())).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(400), None]);
        assert_eq!(attempts.next(policy, Duration::from_secs(10)), Some(Attempts::FIRST));
        assert_eq!(Attempts::default().next(Policy::No, short), None);
        assert_eq!(Attempts(40).next(Policy::OnFailure(None), short), Some(Attempts::LONGEST));
    }
}
