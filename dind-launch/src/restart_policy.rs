//! When a dead daemon is started again, and after which pause. Pure: nothing is started here.

use crate::fault;
use dind_contract::Fault;
use std::fmt;
use std::time::Duration;

/// What to do when dockerd or containerd dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The main process is stopped, and the node exits with 125.
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
        let expected = "expected `no`, `on-failure` or `on-failure:N`";
        let fault = fault::RESTART_INVALID.invalid("DIND_ENGINE_RESTART", text, expected);
        Err(fault.hint("set DIND_ENGINE_RESTART=on-failure:5, or unset it to end with the engine"))
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

/// The restarts in a row so far, and the pauses between them. As Docker's own restart policies (moby's restartmanager): 100 ms,
/// doubled up to a minute, and from the beginning again once a daemon has run for ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts(u32);

impl Attempts {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60);
    const SETTLED: Duration = Duration::from_secs(10);

    /// The pause before the next start of a daemon that ran for `uptime`; nothing where the policy allows no more restarts.
    pub fn next(&mut self, policy: Policy, uptime: Duration) -> Option<Duration> {
        if uptime >= Self::SETTLED {
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
    fn pauses_double_and_ten_seconds_of_uptime_start_over() {
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
