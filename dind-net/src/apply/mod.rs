//! The only place that changes the machine: it goes through the list of steps that `plan` prints.
//!
//! [`apply`] and [`release`] are the two ways through. How a step is made, and how it is undone, is in `steps`, with a module
//! for each kind of step; what steps share is the `context`. Before the first step come `privileges` and the questions of
//! `uplink`; after the last one, `uplink` verifies that everything is in place.

mod accept_ra;
pub(crate) mod context;
mod forwarding;
mod iptables_links;
mod modules;
mod privileges;
mod probe;
mod rules;
pub mod state_dir;
mod steps;
mod uplink;

use crate::facts::{Facts, Leftovers};
use crate::fault;
use crate::firewall::{forwarding::FILE as FORWARDING_FILE, state::FILE as RULES_FILE};
use crate::options::Options;
use crate::plan::{self, release::needs_privileges};
use crate::report::{Mode, Network};
use context::Context;
use dind_contract::step::Journal;
use dind_contract::{Draft, Failed, Fault, Outcome};
use dind_system::Root;
use state_dir::StateDir;
use std::path::Path;

pub use probe::{probe, probe_planned};

/// Refuses to change a captured machine.
///
/// # Errors
/// [`fault::ROOT_IS_FAKE`].
pub fn check_root(root: &Root) -> Result<(), Fault> {
    if root.is_host() {
        return Ok(());
    }
    Err(fault::ROOT_IS_FAKE
        .cannot("change", root.path("/").display(), "it is a captured machine")
        .hint("unset DIND_ROOT, or use `dind-net plan`"))
}

/// Decides, and changes the network accordingly.
///
/// # Errors
/// All of the README's table.
pub fn apply(options: &Options) -> Outcome<Network> {
    privileges::check(options.offset.is_some() && options.probe)?;
    let state = StateDir::at(&options.state);
    let _lock = state.lock()?;
    let mut facts = Facts::observe(&Root::default(), options)?;
    let mut plan = plan::decide(&facts, options)?;
    if facts.original.is_none() {
        // One of a former life: this namespace is new.
        state.remove_journal()?;
    }
    let mut context = Context::new(state, facts.original.is_some());
    let (expected, asked) = uplink::check(&plan, options, &mut context)?;
    let mut journal = Journal::default();
    let mut done = journal.run(&plan.steps, &mut context);
    while let Some(refused) = context.rules_refused.take() {
        // Only the kernel knows which rules it takes. With that known, the plan is another one: at first without those for which the
        // kernel needs most.
        journal.undo(&mut context);
        let hairpin = plan.has_hairpin() && facts.hairpin_refused.is_none();
        let known = if hairpin { &mut facts.hairpin_refused } else { &mut facts.rules_refused };
        *known = Some(refused);
        plan = plan::decide(&facts, options)?;
        journal = Journal::default();
        done = journal.run(&plan.steps, &mut context);
    }
    if let Err(fault) = done.and_then(|()| uplink::verify(&plan, expected, &mut context)) {
        let steps = journal.undo(&mut context);
        return Err(Failed { fault: Box::new(context.why_not_undone(fault)), steps });
    }
    plan.warnings.extend(asked);
    Ok(Draft { result: plan.network, engine: plan.engine, steps: journal.keep(), warnings: plan.warnings })
}

/// Takes everything away that an apply has made, and succeeds when nothing is left.
///
/// # Errors
/// [`fault::NETLINK_FAILED`], [`fault::RULES_FAILED`], [`fault::LINKS_FAILED`], those of missing privileges and of the
/// state directory.
pub fn release(state: &Path) -> Outcome<Network> {
    let mut journal = Journal::default();
    if state.is_dir() {
        let directory = StateDir::at(state);
        let _lock = directory.lock()?;
        let found = Leftovers::observe(state)?;
        let steps = plan::release::steps(&found, state);
        if needs_privileges(&found, &steps) {
            privileges::check(false)?;
        }
        let mut context = Context::new(directory, true);
        let done = journal.run(&steps, &mut context).and_then(|()| forget(&context.state));
        if let Err(fault) = done {
            return Err(Failed { fault: Box::new(fault), steps: journal.keep() });
        }
    }
    let result = Network { mode: Mode::Released, ..Network::default() };
    Ok(Draft { result, steps: journal.keep(), ..Draft::default() })
}

/// Files of a former life: what they describe went with its network namespace.
fn forget(state: &StateDir) -> Result<(), Fault> {
    for file in [RULES_FILE, FORWARDING_FILE] {
        state.remove(file).map_err(|error| {
            fault::RULES_FAILED.cannot("remove", state.join(file).display(), error).hint("remove it by hand")
        })?;
    }
    state.remove_journal()
}
