//! Carries a plan out: [`steps`] makes each step of the plan, in order, with what [`context`] holds; `data_root` is about our
//! files there, and `seeds` about seeds. A failure takes all of them back.

pub mod context;
mod data_root;
mod seed_context;
mod seeds;
pub mod steps;

use crate::facts::{Facts, directory};
use crate::options::Options;
use crate::report::{Backing, Storage};
use crate::{facts, fault, plan, privileges};
use context::Context;
use dind_contract::step::Journal;
use dind_contract::{Draft, Failed, Fault, Outcome};
use dind_system::Root;
use nix::sys::signal::{SigSet, Signal};
use seed_context::SeedContext;

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
    check_engine(&facts, options)?;
    let is_new_mount = plan.storage.backing == Backing::Loop && facts.mounted.is_none();
    let carrier = plan::carrier(&facts, plan.storage.backing);
    let seeds = facts.seeds.as_ref().map_or_else(|_| SeedContext::default(), SeedContext::new);
    let steps = plan.steps.clone();
    let mut context = Context::new(root, facts.mounted, seeds, plan);
    let mut journal = Journal::default();
    if let Err(fault) = journal.run(&steps, &mut context) {
        return Err(Failed { fault: Box::new(fault), steps: journal.undo(&mut context) });
    }
    context.seeds.finish();
    let Context { storage, mut warnings, .. } = context;
    if let Some(space) = directory::space(root, &facts.data_root.path).filter(|_| is_new_mount) {
        warnings.extend(plan::space::low(&space, &options.data_root, carrier));
    }
    Ok(Draft { engine: storage.engine(), steps: journal.keep(), result: storage, warnings })
}

/// A running engine has the names of its images in memory, and writes them back; a plan beside it, as `status` makes one, is fine.
fn check_engine(facts: &Facts, options: &Options) -> Result<(), Fault> {
    let view = facts.seeds.as_ref().ok().and_then(|seeds| seeds.view.as_ref());
    if facts.occupant.engine && view.is_some_and(|view| view.changes.concern_the_engine()) {
        let data_root = options.data_root.display();
        let fault = fault::DATA_ROOT_IN_USE.cannot("bring seeds into", data_root, "an engine runs on it");
        return Err(fault.hint("stop the engine first, or give the seeds that it was started with"));
    }
    Ok(())
}
