//! `prepare`, the verb: what an entrypoint that is a shell script needs before it starts an engine of its own.

use crate::engine::stale;
use crate::prepare::{self, Caller, Prepared};
use dind_contract::{Outcome, StepState};
use dind_system::Root;

/// Prepares cgroups and mounts, and removes what the engine of an earlier run of this container has left: dockerd does not
/// start on a stale pid file whose number another process has got, nor on the state of a containerd that is gone.
///
/// # Errors
/// Those of [`prepare::prepare`].
pub fn prepare(root: &Root) -> Outcome<Prepared> {
    let mut draft = prepare::prepare(root, Caller::Shell)?;
    for path in stale::remove_unless_an_engine_runs(root) {
        draft.steps.push("remove-stale-state", path.display(), StepState::Done);
    }
    Ok(draft)
}
