//! The decision: a pure function of facts and options.
//!
//! [`driver`] chooses the storage driver and what lies beneath it, [`image`] lists the steps that a loop image takes, each of them a
//! [`step`].

pub mod driver;
pub mod image;
pub mod mount_flags;
pub mod step;

use crate::facts::Facts;
use crate::facts::overlay_probe::Verdict;
use crate::options::{self, Options};
use crate::report::{Backing, ProbeSource, Storage};
use crate::{fault, safe_path};
use dind_contract::{Fault, Warning};
use step::Step;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The document's result, as far as it is known before the apply.
    pub storage: Storage,
    /// What an apply does; nothing where the data root is used as it is.
    pub steps: Vec<Step>,
    /// Warnings of the document.
    pub warnings: Vec<Warning>,
}

/// Decides.
///
/// # Errors
/// Nothing works here, or what was asked for does not.
pub fn decide(facts: &Facts, options: &Options) -> Result<Plan, Fault> {
    if safe_path::is_system_directory(&facts.data_root.path) {
        return Err(options::system_directory(&facts.data_root.path));
    }
    let driver::Choice { driver, backing, passed_over } = driver::choose(facts, options)?;
    let storage = Storage {
        data_root: options.data_root.clone(),
        driver: Some(driver),
        backing,
        filesystem: facts.data_root.mount.kind.clone(),
        probe: facts.probe,
        image: None,
        passed_over,
        space: facts.data_root.space,
        health: (backing == Backing::Native || facts.mounted.is_some()).then_some(facts.health),
    };
    let health = storage.health.and_then(|health| health.warning(&options.data_root));
    let flags = (backing == Backing::Native).then(|| mount_flags::warning(facts)).flatten();
    let warnings = health.into_iter().chain(probe_not_run(facts)).chain(flags).collect();
    let mut plan = Plan { storage, steps: Vec::new(), warnings };
    if backing == Backing::Loop {
        let image = image::decide(facts, options)?;
        plan.storage.filesystem.clone_from(&image.report.filesystem);
        plan.storage.image = Some(image.report);
        plan.storage.space = image.space;
        plan.steps = image.steps;
        plan.warnings.extend(image.warnings);
    }
    Ok(plan)
}

fn probe_not_run(facts: &Facts) -> Option<Warning> {
    let Verdict::NotRun(reason) = &facts.overlay else { return None };
    (facts.probe == ProbeSource::NotRun && facts.kernel.contains("overlay")).then(|| {
        Warning::new(
            fault::PROBE_NOT_RUN,
            format!("overlay was not tried, the driver is chosen by the file system's type: {reason}"),
            "run it as root with CAP_SYS_ADMIN, in the container in question",
        )
    })
}
