//! What has to be done so that the data root has the images of its seeds.

use super::step::Step;
use crate::facts::Facts;
use crate::fault;
use crate::options::Options;
use crate::report::{Backing, Driver, ImageStore, Storage, Store, StoreReason};
use crate::seed::{manifest, report};
use dind_contract::{Fault, Warning};

/// Decides, and describes it in the document.
///
/// # Errors
/// A seed cannot be used with this driver, or at all.
pub fn decide(
    facts: &Facts,
    options: &Options,
    storage: &mut Storage,
) -> Result<(Vec<Step>, Vec<Warning>), Fault> {
    let given = &options.seeds;
    if storage.driver != Some(Driver::Overlay2) {
        let Some(path) = given.paths.first() else { return Ok(Default::default()) };
        let driver = storage.driver.map_or("none", Driver::name);
        let cause =
            format!("its layers are for {}, and the storage driver here is {driver}", manifest::DRIVER);
        let fault = fault::SEED_UNSUITABLE.cannot("use the seed", path.display(), cause);
        return Err(fault.hint("leave DIND_STORAGE_SEED out, or DIND_STORAGE_DRIVER"));
    }
    // The engine does not look there. What is in an image that is not mounted yet may decide otherwise.
    let is_sure = |store: &Store| store.reason != StoreReason::NotMounted;
    if storage.store.as_ref().is_some_and(|store| store.name == ImageStore::Containerd && is_sure(store)) {
        return Ok(Default::default());
    }
    let seeds = facts.seeds.clone()?;
    // What is in an image is seen once that is mounted.
    let is_visible = storage.backing == Backing::Native || facts.mounted.is_some();
    let view = seeds.view.as_ref().filter(|_| is_visible);
    storage.seeds = report::seeds(&given.paths, &seeds.seeds, view);
    storage.own_images = view.map(report::own_images);
    let data_root = || facts.data_root.path.clone();
    let mut steps: Vec<_> = seeds
        .files
        .iter()
        .map(|(seed, attached)| Step::AttachSeed {
            seed: seed.clone(),
            data_root: data_root(),
            attached: *attached && is_visible,
        })
        .collect();
    // An image of before, or a clone.
    let may_have_record = !is_visible && (facts.image.is_some() || facts.golden.is_some());
    if !given.paths.is_empty() || view.is_some() || may_have_record {
        let merged = view.is_some_and(|view| view.is_merged);
        steps.push(Step::MergeSeeds { data_root: data_root(), options: given.clone(), merged });
    }
    if !given.paths.is_empty() {
        let bound = view.is_some() && seeds.binds.as_ref().is_some_and(|binds| binds.hold());
        steps.push(Step::BindSeeds { data_root: data_root(), options: given.clone(), bound });
    }
    Ok((steps, view.map_or(Vec::new(), |view| view.changes.warnings.clone())))
}
