//! The steps of a release: everything that an apply has made goes.

use crate::facts::Leftovers;
use crate::facts::original::{self, Original};
use crate::plan::step::Step;
use crate::plan::transition::to_original;
use std::path::Path;

/// What there is to take away. What a former life of the container left went with its network namespace.
#[must_use]
pub fn steps(found: &Leftovers, state: &Path) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(rules) = found.rules.clone().filter(|_| found.own_table) {
        steps.push(Step::RemoveRules { found: rules });
    }
    if let Some(Original { bridging, before, .. }) = live(found) {
        steps.extend(to_original(bridging, &found.net, before).into_iter().map(Step::Change));
        steps.push(Step::RemoveJournal { file: state.join(original::FILE) });
    }
    steps.extend(found.links.iter().map(|links| Step::UnlinkIptables { directory: links.directory.clone() }));
    if found.forwarding {
        // At last: the way out does not depend on it.
        steps.push(Step::DisableForwarding);
    }
    steps
}

/// Whether steps need privileges in the network namespace.
#[must_use]
pub fn changes_network(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::RemoveRules { .. } | Step::Change(_)))
}

fn live(found: &Leftovers) -> Option<&Original> {
    found.original.as_ref().filter(|original| original.is_live(&found.net))
}
