//! What a Mesos agent gets as the main process.

use super::state::RunState;
use crate::TOOL;
use dind_contract::finish::log_warning;
use std::collections::BTreeMap;

/// The variables that a Mesos agent gets, now that the storage is known. They are noted in the record.
pub(super) fn variables(
    state: &mut RunState,
    user: impl Fn(&str) -> Option<String> + Copy,
) -> BTreeMap<String, String> {
    let record = &mut state.writer.record;
    let (Some(facts), Some(storage)) = (&state.mesos_facts, record.documents.get("storage")) else {
        return BTreeMap::new();
    };
    let (agent, mut warnings) = facts.agent(storage, user);
    // The agent itself reports a work directory that it cannot write to.
    warnings.extend(facts.reconcile(&agent, user).unwrap_or_default());
    warnings.iter().for_each(|warning| log_warning(TOOL, warning));
    record.warnings.extend(warnings);
    record.mesos.insert(agent).defaults.clone()
}
