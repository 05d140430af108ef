//! What has to be done so that a loop image is mounted on the data root.

use super::file::{FilePlan, filesystem_kept, image_sparse, report, size_shrinks};
use super::step::Step;
use super::{clone, reserve};
use crate::facts::Facts;
use crate::fault;
use crate::image::create::NewImage;
use crate::image::inspect::ImageInfo;
use crate::image::space;
use crate::image::superblock::Filesystem;
use crate::options::Options;
use crate::report::{Image, Space};
use crate::size;
use dind_contract::{Fault, Warning};
use std::path::{Path, PathBuf};

/// What was decided about the image.
#[derive(Clone, Debug)]
pub struct ImagePlan {
    /// The image, as the document describes it before the apply.
    pub report: Image,
    /// The space that it is in, or will be.
    pub space: Option<Space>,
    /// How it gets on the data root.
    pub steps: Vec<Step>,
    /// Warnings of the document.
    pub warnings: Vec<Warning>,
}

/// Decides.
///
/// # Errors
/// The image cannot be used, does not fit, or would hide something.
pub fn decide(facts: &Facts, options: &Options) -> Result<ImagePlan, Fault> {
    check_target(facts, options)?;
    let mut warnings: Vec<_> = propagation_stopped(facts).into_iter().collect();
    let mut file = match &facts.image {
        Some(info) => existing(&info.clone()?, facts, options)?,
        None if facts.mounted.is_some() => removed(facts, options),
        None => match facts.golden.clone().zip(options.image_from.as_deref()) {
            Some((golden, from)) => clone::decide(golden, from, facts, options)?,
            None => new(facts, options)?,
        },
    };
    let space = match &facts.mounted {
        Some(mounted) => {
            file.report.device = Some(mounted.device());
            file.report.direct_io = mounted.backing.map(|backing| backing.direct_io);
            facts.data_root.space
        }
        None => facts.image_directory.space.map(|space| Space { needed_bytes: file.needed, ..space }),
    };
    warnings.append(&mut file.warnings);
    warnings.extend(image_on_overlay(facts, options));
    Ok(ImagePlan { steps: steps(facts, options, &file), report: file.report, space, warnings })
}

/// The mount must not hide anything, and not lie above its own image.
fn check_target(facts: &Facts, options: &Options) -> Result<(), Fault> {
    let target = &facts.data_root.path;
    if options.image.starts_with(target) {
        let cause = "it lies in the data root itself";
        let fault = fault::PATH_INVALID.cannot("mount", options.image.display(), cause);
        return Err(fault.hint("set DIND_STORAGE_IMAGE to a file elsewhere, such as /data/docker"));
    }
    if facts.mounted.is_some() {
        return Ok(());
    }
    if facts.data_root.is_loop_mount() {
        let cause = "another image is mounted there";
        let fault = fault::DATA_ROOT_MOUNTED.cannot("mount on", target.display(), cause);
        return Err(fault.hint("unmount it, or set DIND_STORAGE_IMAGE to the image that is mounted there"));
    }
    if !facts.data_root.empty {
        let cause = "it is not empty, and the image would hide what is in it";
        let fault = fault::DATA_ROOT_NOT_EMPTY.cannot("mount on", target.display(), cause);
        return Err(fault.hint("empty it, or set DIND_DATA_ROOT to another directory"));
    }
    Ok(())
}

fn steps(facts: &Facts, options: &Options, file: &FilePlan) -> Vec<Step> {
    let (image, target) = (&options.image, facts.data_root.path.clone());
    let mounted = facts.mounted.is_some();
    let grow = file.grow.map(|size| Step::GrowImage { image: image.clone(), size, mounted });
    if mounted {
        let mount = Step::MountImage { target, mounted, grows: false };
        return grow.into_iter().chain([mount, reserve::step(facts, true)]).collect();
    }
    let above = &facts.image_directory.missing;
    let mut steps: Vec<_> = above.iter().cloned().map(Step::MakeDirectory).collect();
    steps.push(Step::MakeImage { image: image.clone(), new: file.new.clone() });
    steps.extend(file.check.then(|| Step::CheckImage { image: image.clone() }));
    steps.extend(grow);
    steps.extend(facts.loop_node_missing.then_some(Step::MakeLoopNode));
    steps.push(Step::AttachImage { image: image.clone() });
    let below = facts.data_root.missing.iter().filter(|path| !above.contains(path));
    steps.extend(below.cloned().map(Step::MakeDirectory));
    steps.extend(shared_mount(facts).map(|point| Step::StopPropagation { point }));
    let grows = file.grow.is_some() && file.report.filesystem == Filesystem::Xfs.name();
    let clones = file.new.as_ref().is_some_and(|new| new.from.is_some());
    let removed = clones.then(|| Step::RemoveEngineId { data_root: target.clone() });
    steps.push(Step::MountImage { target, mounted, grows });
    steps.extend(removed);
    steps.push(reserve::step(facts, false));
    steps
}

/// A mount in a shared tree appears in every peer, and stays there when the container dies (mount_namespaces(7)).
/// The root is left shared: a container's root has no peers, and its engine wants it so.
fn shared_mount(facts: &Facts) -> Option<PathBuf> {
    let mount = &facts.data_root.mount;
    (facts.mounted.is_none() && mount.shared && mount.point != Path::new("/")).then(|| mount.point.clone())
}

fn propagation_stopped(facts: &Facts) -> Option<Warning> {
    let point = shared_mount(facts)?;
    Some(Warning::new(
        fault::PROPAGATION_STOPPED,
        format!("{} is shared; it is made private, so that the image is mounted here only", point.display()),
        "mount the volume without bind-propagation",
    ))
}

fn image_on_overlay(facts: &Facts, options: &Options) -> Option<Warning> {
    (facts.mounted.is_none() && facts.image_directory.is_in_layer()).then(|| {
        Warning::new(
            fault::IMAGE_ON_OVERLAY,
            format!(
                "{} lies in the container's own layer and is removed with the container",
                options.image.display()
            ),
            "mount a volume on its directory, or set DIND_STORAGE_IMAGE to a file on one",
        )
    })
}

fn existing(info: &ImageInfo, facts: &Facts, options: &Options) -> Result<FilePlan, Fault> {
    let mounted = facts.mounted.is_some();
    let filesystem = info.superblock.filesystem;
    let larger = match options.size {
        Some(size) if size < info.size => {
            let fault = size_shrinks(&options.image, info.size, size);
            let hint = "leave VAR_LIB_DOCKER_SIZE out to keep its size, or move the image away to start anew";
            return Err(fault.hint(hint));
        }
        Some(size) if size > info.size => Some(size),
        // The superblock of a mounted one is out of date: the present one is in the journal.
        _ => (!mounted && info.is_half_grown()).then_some(info.size),
    };
    let deferred = mounted && filesystem == Filesystem::Ext4 && !facts.grows_mounted_ext4;
    let mut warnings = Vec::new();
    if deferred && larger.is_some() {
        warnings.push(grow_deferred(&options.image));
    }
    let anew = "move the image away to start with an empty one";
    warnings.extend(filesystem_kept(options, &options.image, filesystem, anew));
    let grow = larger.filter(|_| !deferred);
    let report = report(options, grow.unwrap_or(info.size), filesystem.name(), info.is_sparse());
    Ok(FilePlan { report, new: None, needed: 0, check: info.needs_check() && !mounted, grow, warnings })
}

/// A mounted ext4 that this caller cannot grow.
#[must_use]
pub fn grow_deferred(image: &Path) -> Warning {
    Warning::new(
        fault::GROW_DEFERRED,
        format!(
            "{} is mounted and keeps its size for now: growing it needs CAP_SYS_RESOURCE",
            image.display()
        ),
        "run the container with --cap-add SYS_RESOURCE, or apply again after `dind-storage release`",
    )
}

/// The image's file was removed while it was mounted. It lives until the release.
fn removed(facts: &Facts, options: &Options) -> FilePlan {
    let size = facts.data_root.space.map_or(0, |space| space.total_bytes);
    let report = report(options, size, &facts.data_root.mount.kind, false);
    FilePlan { report, new: None, needed: 0, check: false, grow: None, warnings: Vec::new() }
}

fn new(facts: &Facts, options: &Options) -> Result<FilePlan, Fault> {
    let size = options.size.unwrap_or(size::DEFAULT);
    let (filesystem, sparse) = (options.filesystem, options.sparse);
    if let Some(fault) = &facts.no_tool {
        return Err(fault.clone());
    }
    let available = facts.image_directory.space.map(|space| space.available_bytes);
    if !sparse && available.is_some_and(|available| available < size) {
        return Err(space::short(&options.image, size, available));
    }
    Ok(FilePlan {
        report: report(options, size, filesystem.name(), sparse),
        new: Some(NewImage { size, filesystem, sparse, from: None }),
        needed: if sparse { 0 } else { size },
        check: false,
        grow: None,
        warnings: image_sparse(options, size).into_iter().collect(),
    })
}
