//! The decision: a pure function of facts and options.
//!
//! [`driver`] chooses the storage driver and what lies beneath it, [`image_store`] where the engine keeps its images, [`image`] lists the steps that a loop image takes, [`mod@clone`]
//! says what one is that is cloned, both as a `file`, each of them a [`step`]. [`seeds`] lists those of seeds. [`reserve`] is about
//! the space that a full data root can still be started with; [`space`] and [`ignored`] are
//! warnings.

pub mod clone;
pub mod driver;
mod file;
pub mod ignored;
pub mod image;
pub mod image_store;
pub mod mount_flags;
pub mod reserve;
pub mod seeds;
pub mod space;
pub mod step;

use crate::data_root::NAME;
use crate::facts::Facts;
use crate::facts::content::Content;
use crate::facts::directory::Directory;
use crate::facts::occupant::Occupant;
use crate::facts::overlay_probe::Verdict;
use crate::image::superblock::Filesystem;
use crate::options::{self, Options};
use crate::report::{Backing, ProbeSource, Storage};
use crate::{fault, safe_path};
use dind_contract::{Fault, Warning};
use image_store::Question;
use space::Carrier;
use step::Step;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The document's result, as far as it is known before the apply.
    pub storage: Storage,
    /// What the engine's image store depends on, for an image whose content is seen once it is mounted.
    pub question: Question,
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
        store: None,
        backing,
        filesystem: facts.data_root.mount.kind.clone(),
        probe: facts.probe,
        image: None,
        lock: (backing == Backing::Native).then(|| facts.data_root.path.join(NAME)),
        passed_over,
        space: facts.data_root.space,
        health: (backing == Backing::Native || facts.mounted.is_some()).then_some(facts.health),
        seeds: Vec::new(),
        own_images: None,
    };
    let health = storage.health.and_then(|health| health.warning(&options.data_root));
    let flags = (backing == Backing::Native).then(|| mount_flags::warning(facts)).flatten();
    let warnings = health.into_iter().chain(probe_not_run(facts)).chain(flags).collect();
    let mut plan =
        Plan { storage, question: Question::new(facts, options, driver), steps: Vec::new(), warnings };
    if backing == Backing::Loop {
        let image = image::decide(facts, options)?;
        plan.storage.filesystem.clone_from(&image.report.filesystem);
        plan.question.quotas = image.report.filesystem == Filesystem::Xfs.name();
        plan.storage.image = Some(image.report);
        plan.storage.space = image.space;
        plan.steps = image.steps;
        plan.warnings.extend(image.warnings);
    } else {
        plan.steps = native(facts)?;
    }
    let answer = plan.question.answer(content(facts, backing).as_ref())?;
    plan.storage.store = Some(answer.store);
    plan.warnings.extend(answer.warnings);
    let (steps, warnings) = seeds::decide(facts, options, &mut plan.storage)?;
    plan.steps.extend(steps);
    plan.warnings.extend(warnings);
    // The space in an image that is not mounted is not known yet.
    if let Some(space) = facts.data_root.space.filter(|_| plan.storage.health.is_some()) {
        plan.warnings.extend(space::low(&space, &options.data_root, carrier(facts, backing)));
    }
    plan.warnings.extend(ignored::warning(facts, options, backing));
    Ok(plan)
}

/// What has to be done in a data root that is used as it is.
fn native(facts: &Facts) -> Result<Vec<Step>, Fault> {
    let Directory { path, missing, .. } = &facts.data_root;
    let Occupant { name, own_name, other, .. } = &facts.occupant;
    if let Some(other) = other {
        let fault = fault::DATA_ROOT_IN_USE.cannot("use", path.display(), format!("{other} has it"));
        return Err(
            fault.hint("stop the other one, or give each node a volume or a DIND_DATA_ROOT of its own")
        );
    }
    let mut steps: Vec<_> = missing.iter().cloned().map(Step::MakeDirectory).collect();
    steps.push(reserve::step(facts, true));
    let named = own_name.is_none() || name == own_name;
    steps.push(Step::NameNode { data_root: path.clone(), name: own_name.clone().unwrap_or_default(), named });
    Ok(steps)
}

/// Whose images are in the data root; nothing where they are in an image that is not mounted yet.
fn content(facts: &Facts, backing: Backing) -> Option<Content> {
    if backing == Backing::Native || facts.mounted.is_some() {
        return Some(facts.content);
    }
    // What has its place now is hidden by the mount.
    let is_new = facts.image.is_none() && facts.golden.is_none();
    is_new.then(Content::default)
}

/// What carries the data.
pub(crate) fn carrier(facts: &Facts, backing: Backing) -> Carrier {
    match backing {
        Backing::Native => Carrier::Native,
        Backing::Loop if facts.image_directory.is_in_layer() => Carrier::ImageInLayer,
        Backing::Loop => Carrier::Image,
    }
}

fn probe_not_run(facts: &Facts) -> Option<Warning> {
    let Verdict::NotRun(reason) = &facts.overlay else { return None };
    (facts.probe == ProbeSource::NotRun && facts.kernel.contains("overlay")).then(|| {
        Warning::new(
            fault::PROBE_NOT_RUN,
            format!("overlay was not tried, the driver is chosen by the file system's type: {reason}"),
            "run it as root with CAP_SYS_ADMIN, in the container in question, with free space in its data root",
        )
    })
}
