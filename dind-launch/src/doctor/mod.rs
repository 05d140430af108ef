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
pub mod table;

pub use facts::{NodeArgs, Observed};
pub use report::{Alternative, Check, Examination, Limitation, Verdict};

use crate::cli::Doctor;
use crate::forms::doctor::Output;
use crate::terminal::Screen;
use crate::{TOOL, fault, options, rootless};
use dind_contract::cli::{self, Form, given};
use dind_contract::finish::{finish_text, finish_with};
use dind_contract::flags;
use dind_contract::{Draft, Fault, Outcome, Warning, value};
use dind_system::Root;
use report::Checks;
use run_flags::Target;
use std::process::ExitCode;

/// Examines the container, or prints the flags of `docker run`; with `--output flags` the latter as words for a shell.
#[must_use]
pub fn finish(args: &Doctor) -> ExitCode {
    let examination = evaluate(args, &Root::at(&args.machine.root));
    let form = match args.output.and_then(|Form(output)| output).unwrap_or_else(Output::by_default) {
        Output::Json => cli::Output::Json,
        Output::Flags => cli::Output::Flags,
        Output::Table => {
            let lines =
                examination.as_ref().map(|examination| table::lines(examination, &Screen::of_stdout()));
            let lines = lines.unwrap_or_default();
            return finish_text(TOOL, "doctor", outcome(examination), |_| lines);
        }
    };
    finish_with(TOOL, "doctor", Some(form), outcome(examination), |report| match &report.result.run_flags {
        Some(alternatives) => run_flags::words(alternatives),
        None => flags::words(&report.engine),
    })
}

fn outcome(examination: Result<Examination, Fault>) -> Outcome<Examination> {
    Ok(document(examination?)?)
}

fn evaluate(text: &Doctor, root: &Root) -> Result<Examination, Fault> {
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
                Err(fault.hint("add --run-flags"))
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
    let mut examination = checks.examination();
    if !examination.is_any_missing() {
        examination.run_flags = Some(alternatives);
        examination.seccomp_profile = Some(run_flags::profile());
    }
    Ok(examination)
}

/// Looks at everything that a node needs.
fn examine(root: &Root, args: &NodeArgs) -> Result<Examination, Fault> {
    let observed = Observed::of_container(root)?.and_kernel(root);
    let mut checks = Checks::default();
    if args.makes_namespaces && !rootless::is_inside(root) {
        checks::outside(root, &observed, &mut checks);
        checks::installation(root, &observed, args, &mut checks);
        return Ok(checks.examination());
    }
    checks::container(&observed, args, &mut checks);
    checks::kernel(&observed, &mut checks);
    checks::installation(root, &observed, args, &mut checks);
    let mut examination = checks.examination();
    if !examination.is_any_missing() {
        examination.limitations = limitations::list(root, observed.in_user_namespace);
    }
    Ok(examination)
}

/// Refuses a start that would fail later, and half-done: the container's part of what `examine` reports. What takes longer to
/// see is left out, and so is what another stage reports.
///
/// # Errors
/// [`fault::NODE_CANNOT_WORK`], with all that is missing as its causes.
pub fn refuse(root: &Root, args: &NodeArgs) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks::container(&Observed::of_container(root)?, args, &mut checks);
    document(checks.examination()).map(drop)
}

/// As [`refuse`], for a container whose launcher makes the node's namespaces.
///
/// # Errors
/// [`fault::NODE_CANNOT_WORK`], with all that is missing as its causes.
pub fn refuse_rootless(root: &Root) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks::outside(root, &Observed::of_container(root)?, &mut checks);
    document(checks.examination()).map(drop)
}

/// The checks as a document, which is an error where anything is missing.
fn document(result: Examination) -> Result<Draft<Examination>, Fault> {
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
