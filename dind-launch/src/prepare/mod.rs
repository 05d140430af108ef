//! `prepare`: what an engine needs of a container before it can run there. Cgroups that can be written and nested, a shared
//! mount tree, securityfs, a tmpfs at /tmp where one is asked for. `run` does it first; the verb is for entrypoints that are shell scripts.
//!
//! In this order: `facts` are read, `plan` makes steps of them, `step` says how each is made and undone. Below it are `mount`
//! with the mount calls, and `nest` and `threaded` for cgroup v2.

pub(crate) mod delegation;
mod error;
mod facts;
mod mount;
mod nest;
mod plan;
mod report;
mod step;
mod threaded;
mod tmp;
mod wanted;

pub use facts::Caller;
pub use report::Prepared;
pub use tmp::Tmp;
pub use wanted::Wanted;

use crate::{TOOL, fault};
use dind_contract::step::{Journal, planned};
use dind_contract::{Draft, Failed, Fault, Outcome, Report, Warning};
use dind_system::{Root, proc};
use facts::Facts;
use serde_json::Value;
use std::slice;
use step::PrepareStep;

/// What `run` would prepare.
///
/// # Errors
/// The facts cannot be read.
pub fn plan(root: &Root, wanted: &Wanted) -> Result<Draft<Prepared>, Fault> {
    let mut facts = Facts::read(root)?;
    let mut steps: Vec<PrepareStep> = plan::namespace(&facts).into_iter().collect();
    if !steps.is_empty() {
        facts = facts.predict_unshare();
    }
    let plan = plan::container(&facts, wanted);
    steps.extend(plan.steps);
    Ok(Draft { result: plan.result, steps: planned(&steps), warnings: plan.warnings, ..Draft::default() })
}

/// The document of an outcome, as the launcher passes it on: `mode` is `plan` or `prepare`.
#[must_use]
pub fn document(draft: Draft<Prepared>, mode: &str) -> Report<Value> {
    let Draft { result, engine, steps, warnings } = draft;
    let result = serde_json::to_value(result).unwrap_or_default();
    Draft { result, engine, steps, warnings }.report(TOOL, mode)
}

/// Prepares cgroups and mounts. What is as it should be is left alone, so a second time changes nothing. After a failure,
/// mounts and links are undone; processes stay in their leaf.
///
/// # Errors
/// `CAP_SYS_ADMIN` is missing, or a cgroup hierarchy cannot be made usable. The rest only warns: engines run without it.
pub fn prepare(root: &Root, wanted: &Wanted) -> Outcome<Prepared> {
    if !root.is_host() {
        let fault = fault::ROOT_IS_FAKE.cannot("prepare", root.path("/").display(), "it is not this machine");
        return Err(fault.hint("unset DIND_ROOT; `dind-launch plan --root` reads another machine").into());
    }
    check_privileges(root)?;
    let mut work = Work::default();
    match work.prepare(root, wanted) {
        Ok(result) => {
            Ok(Draft { result, steps: work.journal.keep(), warnings: work.warnings, ..Draft::default() })
        }
        Err(fault) => Err(Failed { fault: Box::new(fault), steps: work.journal.undo(&mut ()) }),
    }
}

/// Refuses early what would fail late, and half-done.
///
/// # Errors
/// Not root, or no `CAP_SYS_ADMIN`.
fn check_privileges(root: &Root) -> Result<(), Fault> {
    if !nix::unistd::geteuid().is_root() {
        let fault = fault::NOT_ROOT.failed("cannot prepare the container", "the caller is not root");
        return Err(fault.hint("run the container with --user 0"));
    }
    let status = proc::status(root)
        .map_err(|error| fault::INIT_FAILED.cannot("read", "/proc/self/status", error).hint("mount /proc"))?;
    if !status.can(proc::CAP_SYS_ADMIN) {
        let fault =
            fault::CAP_SYS_ADMIN_MISSING.failed("cannot prepare the container", "CAP_SYS_ADMIN is missing");
        return Err(fault.hint(
            "run the container with --privileged; `dind-launch doctor` names everything that is missing",
        ));
    }
    Ok(())
}

/// What has been done and found so far.
#[derive(Default)]
struct Work {
    journal: Journal<()>,
    warnings: Vec<Warning>,
}

impl Work {
    fn prepare(&mut self, root: &Root, wanted: &Wanted) -> Result<Prepared, Fault> {
        let mut facts = Facts::read(root)?;
        if let Some(step) = plan::namespace(&facts) {
            let unshared = match wanted.caller {
                Caller::Launcher => self.run(&step)?,
                // A namespace that ends with this process changes nothing for the caller, so it is not a step to report.
                Caller::Shell => {
                    let mut unreported = Self::default();
                    let unshared = unreported.run(&step)?;
                    self.warnings.append(&mut unreported.warnings);
                    unshared
                }
            };
            if unshared {
                facts = facts.after_unshare(root)?;
            }
        }
        let plan = plan::container(&facts, wanted);
        self.warnings.extend(plan.warnings);
        for step in &plan.steps {
            self.run(step)?;
        }
        let mut result = plan.result;
        // A tree of v2 that was mounted just now has controllers that nobody could see before.
        if let Some(tree) =
            facts.own_namespace.then(|| Facts::read(root)).transpose()?.and_then(|facts| facts.unified)
        {
            result.controllers = tree.controllers;
        }
        Ok(result)
    }

    /// Makes one step. Returns whether it could; the failure of an optional one is a warning.
    fn run(&mut self, step: &PrepareStep) -> Result<bool, Fault> {
        match (self.journal.run(slice::from_ref(step), &mut ()), step.optional) {
            (Ok(()), _) => Ok(true),
            (Err(fault), Some(optional)) => {
                self.warnings.push(Warning::new(optional.code, fault.to_string(), optional.hint));
                Ok(false)
            }
            (Err(fault), None) => Err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use step::Change;

    #[test]
    fn only_a_needed_step_that_fails_is_an_error() {
        let change = Change::RemountWritable("/nonexistent".into());
        let mut work = Work::default();
        let optional = PrepareStep::optional(change.clone(), "tmp-not-mounted", "a hint");
        assert!(!work.run(&optional).unwrap());
        assert_eq!(work.warnings[0].code, "tmp-not-mounted");
        assert!(work.warnings[0].message.starts_with("cannot make writable `/nonexistent`: "));
        let fault = work.run(&PrepareStep::needed(change.clone())).unwrap_err();
        assert_eq!(fault.code, fault::PREPARE_FAILED);
        assert!(work.journal.keep().0.is_empty(), "what failed is not listed");
        assert!(Work::default().run(&PrepareStep::needed(change).unless(true)).unwrap());
    }
}
