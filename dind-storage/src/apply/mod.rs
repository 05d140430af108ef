//! Carries a plan out: [`steps`] makes each step of the plan, in order, with what [`context`] holds. A failure takes all of
//! them back.

pub mod context;
pub mod steps;

use crate::options::Options;
use crate::report::Storage;
use crate::{facts, plan, privileges};
use context::Context;
use dind_contract::step::Journal;
use dind_contract::{Draft, Failed, Outcome};
use dind_system::Root;
use nix::sys::signal::{SigSet, Signal};

/// Decides, and makes the steps.
///
/// # Errors
/// A privilege is missing, nothing works here, or a step failed; then all steps before it are undone.
pub fn apply(root: &Root, options: &Options) -> Outcome<Storage> {
    privileges::check(root, "apply")?;
    // Past a limit on file sizes, a write gets EFBIG instead of killing us or mkfs: a blocked signal is inherited.
    let mut block = SigSet::empty();
    block.add(Signal::SIGXFSZ);
    let _ = block.thread_block();
    let facts = facts::observe(root, options)?;
    let plan = plan::decide(&facts, options)?;
    let mut context = Context::new(root, facts.mounted, plan.storage, plan.warnings);
    let mut journal = Journal::default();
    if let Err(fault) = journal.run(&plan.steps, &mut context) {
        return Err(Failed { fault: Box::new(fault), steps: journal.undo(&mut context) });
    }
    let Context { storage, warnings, .. } = context;
    Ok(Draft { engine: storage.engine(), steps: journal.keep(), result: storage, warnings })
}
