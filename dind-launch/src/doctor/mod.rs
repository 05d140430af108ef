//! `doctor`: everything that a node lacks here, at once, each with the docker flag or the host's command that gives it.
//!
//! What is seen (`facts`, `probe`, `links`) is one thing, what it means another: the checks are pure functions.

mod capabilities;
mod cgroups;
mod devices;
pub mod facts;
mod kernel;
mod limits;
mod links;
mod privileges;
mod probe;
mod programs;
mod report;
pub mod run_flags;
mod socket;

pub use facts::{Observed, StorageArgs};
pub use report::{Alternative, Check, Examination, Verdict};

use crate::cli::Doctor;
use crate::{TOOL, fault};
use dind_contract::cli::{Common, given};
use dind_contract::finish::plain_flags;
use dind_contract::{Draft, Fault, Outcome, Warning, value};
use dind_system::Root;
use report::Checks;
use std::process::ExitCode;

/// Examines, or gives the flags of `docker run`; with `--output flags` the latter as words for a shell.
#[must_use]
pub fn finish(args: &Doctor, common: &Common) -> ExitCode {
    let outcome = tell(args, &Root::at(&common.root));
    dind_contract::finish(TOOL, "doctor", common.output, outcome, |report| match &report.result.run_flags {
        Some(alternatives) => Ok(run_flags::words(alternatives)),
        None => plain_flags(&report.engine),
    })
}

fn tell(text: &Doctor, root: &Root) -> Outcome<Examination> {
    let args = StorageArgs::of_environment();
    let asked = given(text.run_flags.as_ref()).map(value::boolean).transpose();
    let asked = asked.map_err(|cause| {
        let text = text.run_flags.clone().unwrap_or_default();
        fault::RUN_FLAGS_INVALID.invalid("DIND_RUN_FLAGS", text, cause).hint("write true or false")
    })?;
    if asked != Some(true) {
        return examine(root, &args);
    }
    let file = given(text.seccomp.as_ref()).unwrap_or(run_flags::PROFILE_FILE);
    let observed = Observed::of_kernel(root)?;
    let mut checks = Checks::default();
    kernel::evaluate(&observed, &mut checks);
    limits::evaluate_kernel(&observed, &mut checks);
    let alternatives = run_flags::alternatives(&observed, &args, file);
    if alternatives.iter().all(|alternative| alternative.works == Some(false)) {
        let found = alternatives.iter().map(|alternative| alternative.why.as_str()).collect::<Vec<_>>();
        checks.missing("docker run", found.join("; "), "run the engine with more capabilities");
    }
    let mut draft = conclude(checks)?;
    draft.result.run_flags = Some(alternatives);
    draft.result.seccomp_profile = Some(run_flags::profile());
    Ok(draft)
}

/// Looks at everything that a node needs.
///
/// # Errors
/// [`fault::NODE_CANNOT_WORK`], with all that is missing as its causes.
pub fn examine(root: &Root, args: &StorageArgs) -> Outcome<Examination> {
    let observed = Observed::of_container(root)?.and_kernel(root);
    let mut checks = container(&observed, args);
    kernel::evaluate(&observed, &mut checks);
    limits::evaluate_kernel(&observed, &mut checks);
    programs::evaluate(root, &mut checks);
    socket::evaluate(root, &mut checks);
    Ok(conclude(checks)?)
}

/// Refuses a start that must fail later, and half-done: what the container lacks, as [`examine`] tells it. What takes
/// longer to see, or is told by the stage that needs it, is left to that.
///
/// # Errors
/// As [`examine`].
pub fn refuse(root: &Root, args: &StorageArgs) -> Result<(), Fault> {
    conclude(container(&Observed::of_container(root)?, args)).map(drop)
}

fn container(observed: &Observed, args: &StorageArgs) -> Checks {
    let mut checks = Checks::default();
    privileges::evaluate(observed, &mut checks);
    devices::evaluate(observed, args, &mut checks);
    cgroups::evaluate(observed, &mut checks);
    limits::evaluate_container(observed, &mut checks);
    checks
}

fn conclude(checks: Checks) -> Result<Draft<Examination>, Fault> {
    let result = checks.examination();
    let of = |verdict| result.checks.iter().filter(move |check| check.verdict == verdict);
    let missing: Vec<String> =
        of(Verdict::Missing).map(|check| format!("{} ({})", check.found, check.cure)).collect();
    if missing.is_empty() {
        let poor = |check: &Check| Warning::new("node-is-poor", &check.found, &check.cure);
        let warnings = of(Verdict::Poor).map(poor).collect();
        return Ok(Draft { result, warnings, ..Draft::default() });
    }
    let object = format!("{} of {} checks", missing.len(), result.checks.len());
    let mut fault =
        fault::NODE_CANNOT_WORK.cannot("pass", object, "a node needs what is missing here").details(&result);
    // Whoever starts the container anew wants to cure all of it at once.
    fault.causes = missing;
    fault.causes.extend(of(Verdict::Poor).map(|check| format!("also: {} ({})", check.found, check.cure)));
    Err(fault.hint(
        "each cause names its own cure; `docker run --privileged` gives all privileges, \
         `dind-launch doctor --run-flags` prints the smallest set",
    ))
}
