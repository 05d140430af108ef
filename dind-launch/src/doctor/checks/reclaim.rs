//! Checks what keeps a part of the data root's disk free.

use crate::doctor::report::Checks;
use crate::options;

const RECLAIM: &str = "reclaim";

/// Nothing where it is not asked for.
pub(super) fn evaluate(reclaim: &str, checks: &mut Checks) {
    match options::reclaim(Some(&reclaim.to_owned())) {
        Ok(None) => {}
        Ok(Some(percent)) => {
            let found =
                format!("above {percent} % of the data root's disk, unused images and build cache go");
            checks.ok(RECLAIM, found);
        }
        Err(fault) => checks.missing(RECLAIM, fault.message, &fault.hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;

    #[test]
    fn what_is_asked_for_is_shown_and_a_wrong_share_is_named() {
        let outcome = |text: &str| {
            let mut checks = Checks::default();
            evaluate(text, &mut checks);
            let (verdict, found) = checks.outcome(RECLAIM);
            (verdict, found.to_owned())
        };
        assert_eq!(outcome("85%").0, Verdict::Ok);
        let (verdict, hint) = outcome("full");
        assert!(verdict == Verdict::Missing && hint.contains("85%"), "{hint}");
    }
}
