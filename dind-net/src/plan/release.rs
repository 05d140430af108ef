//! The steps of a release: everything that an apply has made goes.

use crate::facts::Leftovers;
use crate::facts::original::{self, Original};
use crate::plan::forwarding::to_switch_off;
use crate::plan::step::Step;
use crate::plan::transition::to_original;
use std::path::Path;

/// What there is to take away. What a former life of the container left went with its network namespace.
#[must_use]
pub fn steps(found: &Leftovers, state: &Path) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(rules) = found.rules.clone().filter(|_| found.own_table) {
        let controls = to_switch_off(&rules.rules);
        if !controls.is_empty() {
            // Before the rules go that close it.
            steps.push(Step::SwitchForwardingOff { controls });
        }
        steps.push(Step::RemoveRules { found: rules });
    }
    if let Some(Original { bridging, before, .. }) = live(found) {
        steps.extend(to_original(bridging, &found.net, before).into_iter().map(Step::Change));
        steps.push(Step::RemoveJournal { file: state.join(original::FILE) });
    }
    steps.extend(found.links.iter().map(|links| Step::UnlinkIptables { directory: links.directory.clone() }));
    steps.extend(found.accept_ra.clone().map(|record| Step::RestoreRa { record }));
    if found.forwarding {
        // At last: the way out does not depend on it.
        steps.push(Step::DisableForwarding);
    }
    steps
}

/// Whether a release needs privileges in the network namespace: for its steps, or to see whether what an apply has noted is
/// there.
#[must_use]
pub fn needs_privileges(found: &Leftovers, steps: &[Step]) -> bool {
    let changes = |step: &Step| matches!(step, Step::RemoveRules { .. } | Step::Change(_));
    steps.iter().any(changes) || found.unseen && (found.rules.is_some() || found.forwarding_noted)
}

fn live(found: &Leftovers) -> Option<&Original> {
    found.original.as_ref().filter(|original| original.is_live(&found.net))
}
