//! `doctor`: everything that is missing here for a node, at once, each with the docker flag or the host's command that fixes it.
//!
//! What is seen is one thing (`facts`), what it means another (`checks`: a new check goes there). `report` is the document,
//! `run_flags` the other question that doctor answers: which flags `docker run` needs.

mod capabilities;
mod checks;
mod facts;
mod limitations;
mod report;
pub mod run_flags;

pub use facts::{NodeArgs, Observed};
pub use report::{Alternative, Check, Examination, Limitation, Verdict};

use crate::cli::Doctor;
use crate::{TOOL, fault, options, rootless};
use dind_contract::cli::{Common, given};
use dind_contract::finish::finish_with;
use dind_contract::flags;
use dind_contract::{Draft, Fault, Outcome, Warning, value};
use dind_system::Root;
use report::Checks;
use run_flags::Target;
use std::process::ExitCode;

/// Examines the container, or prints the flags of `docker run`; with `--output flags` the latter as words for a shell.
#[must_use]
pub fn finish(args: &Doctor, common: &Common) -> ExitCode {
    let outcome = evaluate(args, &Root::at(&common.root));
    finish_with(TOOL, "doctor", common.output, outcome, |report| match &report.result.run_flags {
        Some(alternatives) => run_flags::words(alternatives),
        None => flags::words(&report.engine),
    })
}

fn evaluate(text: &Doctor, root: &Root) -> Outcome<Examination> {
    let allow_host_devices = options::allow_host_devices(text.allow_host_devices.as_ref())?;
    let args = NodeArgs { allow_host_devices, ..NodeArgs::of(|name| std::env::var(name).ok()) };
    let asked = given(text.run_flags.as_ref()).map(value::boolean).transpose();
    let asked = asked.map_err(|cause| {
        let text = text.run_flags.clone().unwrap_or_default();
        fault::RUN_FLAGS_INVALID.invalid("DIND_RUN_FLAGS", text, cause).hint("write true or false")
    })?;
    let target = Target::parse(given(text.engine.as_ref()))?;
    if asked != Some(true) {
        return match given(text.engine.as_ref()) {
            None => examine(root, &args),
            Some(engine) => {
                let cause = "only flags are for an engine, and they were not asked for";
                let fault = fault::RUN_FLAGS_FOR_INVALID.invalid("DIND_RUN_FLAGS_FOR", engine, cause);
                Err(fault.hint("add --run-flags").into())
            }
        };
    }
    let file = given(text.seccomp.as_ref()).unwrap_or(run_flags::PROFILE_FILE);
    let observed = Observed::of_container(root)?.and_kernel(root).and_engine(root, target == Target::Docker);
    let mut checks = Checks::default();
    checks::kernel(&observed, &mut checks);
    let alternatives = run_flags::alternatives(target, &observed, &args, file);
    if alternatives.iter().all(|alternative| alternative.works == Some(false)) {
        let found = alternatives.iter().map(|alternative| alternative.why.as_str()).collect::<Vec<_>>();
        checks.missing(
            "docker run",
            found.join("; "),
            "give the engine that runs `docker run` more capabilities",
        );
    }
    let mut draft = document(checks)?;
    draft.result.run_flags = Some(alternatives);
    draft.result.seccomp_profile = Some(run_flags::profile());
    Ok(draft)
}

/// Looks at everything that a node needs.
///
/// # Errors
/// [`fault::NODE_CANNOT_WORK`], with all that is missing as its causes.
pub fn examine(root: &Root, args: &NodeArgs) -> Outcome<Examination> {
    let observed = Observed::of_container(root)?.and_kernel(root);
    let mut checks = Checks::default();
    if args.makes_namespaces && !rootless::is_inside(root) {
        checks::outside(root, &observed, &mut checks);
        checks::installation(root, &observed, args, &mut checks);
        return Ok(document(checks)?);
    }
    checks::container(&observed, args, &mut checks);
    checks::kernel(&observed, &mut checks);
    checks::installation(root, &observed, args, &mut checks);
    let mut draft = document(checks)?;
    draft.result.limitations = limitations::list(root, observed.in_user_namespace);
    Ok(draft)
}

/// Refuses a start that would fail later, and half-done: the container's part of what [`examine`] reports. What takes longer to
/// see is left out, and so is what another stage reports.
///
/// # Errors
/// As [`examine`].
pub fn refuse(root: &Root, args: &NodeArgs) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks::container(&Observed::of_container(root)?, args, &mut checks);
    document(checks).map(drop)
}

/// As [`refuse`], for a container whose launcher makes the node's namespaces.
///
/// # Errors
/// As [`examine`].
pub fn refuse_rootless(root: &Root) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks::outside(root, &Observed::of_container(root)?, &mut checks);
    document(checks).map(drop)
}

/// The checks as a document, which is an error where anything is missing.
fn document(checks: Checks) -> Result<Draft<Examination>, Fault> {
    let result = checks.examination();
    let of = |verdict| result.checks.iter().filter(move |check| check.verdict == verdict);
    let missing: Vec<String> =
        of(Verdict::Missing).map(|check| format!("{} ({})", check.found, check.hint)).collect();
    if missing.is_empty() {
        let warning = |check: &Check| Warning::new("node-degraded", &check.found, &check.hint);
        let warnings = of(Verdict::Degraded).map(warning).collect();
        return Ok(Draft { result, warnings, ..Draft::default() });
    }
    let what = format!("{} of {} checks failed", missing.len(), result.checks.len());
    let mut fault = fault::NODE_CANNOT_WORK.failed(what, "required features are missing").details(&result);
    // Whoever starts the container anew wants to fix all of it at once.
    fault.causes = missing;
    fault.causes.extend(of(Verdict::Degraded).map(|check| format!("also: {} ({})", check.found, check.hint)));
    Err(fault.hint(
        "each cause names the flag or the command that fixes it; `dind-launch doctor --run-flags` prints whole sets of flags, \
         the safest first",
    ))
}
