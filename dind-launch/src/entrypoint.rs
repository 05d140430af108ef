//! `prepare`, the verb: what an entrypoint that is a shell script needs before it starts an engine of its own.

use crate::cli::Prepare;
use crate::engine::stale;
use crate::paths::DATA_ROOT;
use crate::prepare::{self, Caller, Prepared, Tmp, Wanted};
use dind_contract::cli::given;
use dind_contract::{Outcome, StepState};
use dind_system::Root;

/// Prepares cgroups and mounts, and removes what the engine of an earlier run of this container has left: dockerd does not
/// start on a stale pid file whose number another process has got, nor on the state of a containerd that is gone.
///
/// # Errors
/// Those of [`prepare::prepare`].
pub fn prepare(root: &Root, args: &Prepare) -> Outcome<Prepared> {
    let data_root = given(args.data_root.as_ref()).unwrap_or(DATA_ROOT);
    let wanted =
        Wanted { caller: Caller::Shell, tmp: Tmp::parse(args.tmp.as_ref())?, data_root: data_root.into() };
    let mut draft = prepare::prepare(root, &wanted)?;
    for path in stale::remove_unless_an_engine_runs(root) {
        draft.steps.push("remove-stale-state", path.display(), StepState::Done);
    }
    Ok(draft)
}
