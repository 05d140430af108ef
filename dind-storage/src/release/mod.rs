//! Undoes an apply: unmounts the image, and waits until the kernel has freed its loop device. [`steps`] is what is done, in
//! order, and [`holders`] names the processes that are in the way.

pub mod holders;
pub mod steps;

use crate::facts::directory::resolved;
use crate::facts::existing_image;
use crate::facts::mounts::{self, MountedImage};
use crate::image::location::ImageLocation;
use crate::options::ReleaseOptions;
use crate::report::{Backing, Image, ProbeSource, Storage};
use crate::seed::record::Record;
use crate::seed::{attach, bind};
use crate::{fault, privileges};
use dind_contract::step::Journal;
use dind_contract::{Draft, Engine, Failed, Outcome, Warning};
use dind_system::Root;
use dind_system::proc::{Mount, mount_at, mount_of, points_below};
use std::path::Path;
use steps::{Context, Step};

/// Unmounts the image, if it is ours and mounted. It looks for itself: a record of the apply could be wrong.
///
/// # Errors
/// Processes still use it (they are named), or what was written last may be lost.
pub fn release(root: &Root, options: &ReleaseOptions) -> Outcome<Storage> {
    privileges::check(root, "release")?;
    let data_root = resolved(root, &options.data_root);
    let mounts = mounts::read(root)?;
    let beneath = mount_of(&mounts, &data_root).map(|mount| mount.kind.clone());
    let mut storage = Storage {
        data_root: options.data_root.clone(),
        driver: None,
        store: None,
        backing: Backing::Native,
        filesystem: beneath.unwrap_or_default(),
        probe: ProbeSource::NotNeeded,
        image: None,
        lock: None,
        passed_over: Vec::new(),
        space: None,
        health: None,
        seeds: Vec::new(),
        own_images: None,
    };
    let Some(mounted) = mounts::image_on(root, &mounts, &data_root, &options.image) else {
        let not_ours = options.backing == Some(Backing::Loop) && mount_at(&mounts, &data_root).is_some();
        let warnings = Vec::from_iter(not_ours.then(|| mount_not_ours(&data_root, &options.image)));
        let mut steps = if not_ours { Vec::new() } else { seeds(&mounts, &data_root) };
        if !not_ours {
            steps.extend(remove_remains(&options.image));
        }
        return run(&steps, Context::new(root, &data_root, None), storage, warnings);
    };
    storage.backing = Backing::Loop;
    storage.image = describe(root, options, &mounted);
    let steps = steps(&mounts, &data_root, &mounted, storage.image.as_ref());
    run(&steps, Context::new(root, &data_root, Some(mounted)), storage, Vec::new())
}

fn run(steps: &[Step], mut context: Context, storage: Storage, warnings: Vec<Warning>) -> Outcome<Storage> {
    let mut journal = Journal::default();
    let done = journal.run(steps, &mut context).and_then(|()| context.written());
    let steps = journal.keep();
    match done {
        Ok(()) => Ok(Draft { result: storage, engine: Engine::default(), steps, warnings }),
        Err(fault) => Err(Failed { fault: Box::new(fault), steps }),
    }
}

/// Everything that is mounted below goes first, the deepest before the others.
fn steps(mounts: &[Mount], data_root: &Path, mounted: &MountedImage, image: Option<&Image>) -> Vec<Step> {
    let mut steps = seeds(mounts, data_root);
    let of_seeds = steps.clone();
    let is_of_seeds = |point: &Path| {
        of_seeds.iter().any(|step| match step {
            Step::UnbindSeeds { points, .. } => points.iter().any(|of| of == point),
            Step::DetachSeed { point: of } => of == point,
            _ => false,
        })
    };
    let below = points_below(mounts, data_root).into_iter().filter(|point| !is_of_seeds(point));
    steps.splice(0..0, below.map(Step::Unmount));
    let sparse = image.filter(|image| image.sparse);
    steps.extend(sparse.map(|image| Step::TrimImage { point: data_root.to_owned(), size: image.size_bytes }));
    steps.push(Step::UnmountImage { point: data_root.to_owned() });
    steps.push(Step::DetachImage { device: mounted.device() });
    steps
}

/// What is mounted for seeds in a data root. Without a readable record, it is mounted below the data root like anything else.
fn seeds(mounts: &[Mount], data_root: &Path) -> Vec<Step> {
    let record = Record::read(data_root).ok().flatten().unwrap_or_default();
    let points = bind::points(data_root, &record, mounts);
    let unbind = (!points.is_empty()).then(|| Step::UnbindSeeds { data_root: data_root.to_owned(), points });
    let files = points_below(mounts, &attach::directory(data_root));
    unbind.into_iter().chain(files.into_iter().map(|point| Step::DetachSeed { point })).collect()
}

/// What an apply that was killed has left while it made the image: a file that no process uses, with all the space of one.
fn remove_remains(image: &Path) -> Vec<Step> {
    let location = ImageLocation::find(image).ok().flatten();
    let left = location.is_some_and(|location| location.stat(&location.temporary_name()).is_some());
    Vec::from_iter(left.then(|| Step::RemoveRemains { image: image.to_owned() }))
}

/// Nothing where the image's file was removed.
fn describe(root: &Root, options: &ReleaseOptions, mounted: &MountedImage) -> Option<Image> {
    let info = existing_image::observe(root, &options.image)?.ok()?;
    Some(Image {
        path: options.image.clone(),
        size_bytes: info.size,
        filesystem: mounted.mount.kind.clone(),
        sparse: info.is_sparse(),
        device: None,
        direct_io: None,
        from: None,
        cloned: None,
    })
}

fn mount_not_ours(data_root: &Path, image: &Path) -> Warning {
    Warning::new(
        fault::MOUNT_NOT_OURS,
        format!("what is mounted on {} is not {}", data_root.display(), image.display()),
        "it was left as it is; set DIND_STORAGE_IMAGE to the image that was applied",
    )
}
