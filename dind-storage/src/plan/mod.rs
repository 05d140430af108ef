//! The decision: a pure function of facts and options.

use crate::document::{Backing, Image, ProbeSource, Space, Storage};
use crate::facts::Facts;
use crate::image::Found;
use crate::make::{self, Spec};
use crate::options::{self, Options};
use crate::probe::Verdict;
use crate::{choose, fault, paths, size};
use dind_contract::{Engine, Fault, State, Steps, Warning};
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The document's result, as far as it is known before the work.
    pub storage: Storage,
    /// The work; none where the data root does as it is.
    pub work: Option<LoopWork>,
    /// For the reader.
    pub warnings: Vec<Warning>,
}

/// How an image gets on the data root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopWork {
    /// The image's file.
    pub image: PathBuf,
    /// The data root, without links.
    pub target: PathBuf,
    /// For an image that is not there.
    pub make: Option<Spec>,
    /// For an image that is: whether its file system has to be checked first.
    pub check: bool,
    /// For an image that is: its new size in bytes.
    pub grow: Option<u64>,
    /// A mount that would pass ours on to other namespaces, where nobody would unmount it.
    pub isolate: Option<PathBuf>,
    /// It is done already.
    pub mounted: bool,
}

/// Decides.
///
/// # Errors
/// Nothing works here, or what was asked for does not.
pub fn decide(facts: &Facts, options: &Options) -> Result<Plan, Fault> {
    if paths::is_system_folder(&facts.data_root.path) {
        return Err(options::system_folder(&facts.data_root.path));
    }
    let mut warnings = Vec::new();
    let mut passed_over = Vec::new();
    let (driver, backing) = choose::first_that_works(facts, options, &mut passed_over)?;
    let mut storage = Storage {
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
    warnings.extend(storage.health.and_then(|health| health.warning(&options.data_root)));
    if let (ProbeSource::NotRun, Verdict::NotRun(reason)) = (facts.probe, &facts.overlay)
        && facts.kernel.contains("overlay")
    {
        warnings.push(Warning::new(
            fault::PROBE_NOT_RUN,
            format!("overlay was not tried, the choice goes by the file system's name: {reason}"),
            "run it as root with CAP_SYS_ADMIN, in the container that is meant",
        ));
    }
    let work = match backing {
        Backing::Native => None,
        Backing::Loop => Some(image_on_loop(facts, options, &mut storage, &mut warnings)?),
    };
    Ok(Plan { storage, work, warnings })
}

impl Plan {
    /// What the engine has to be told.
    #[must_use]
    pub fn engine(&self) -> Engine {
        let mut engine = Engine::default();
        engine.set("data-root", self.storage.data_root.display().to_string());
        if let Some(driver) = self.storage.driver {
            engine.set("storage-driver", driver.name());
        }
        engine
    }

    /// What an apply would do.
    #[must_use]
    pub fn steps(&self) -> Steps {
        let mut steps = Steps::default();
        let Some(work) = &self.work else { return steps };
        let (image, target) = (work.image.display(), work.target.display());
        if work.mounted {
            if work.grow.is_some() {
                steps.push("grow-image", &image, State::Planned);
            }
            steps.push("mount-image", target, State::Skipped);
            return steps;
        }
        steps.push("make-image", &image, if work.make.is_some() { State::Planned } else { State::Skipped });
        if work.check {
            steps.push("check-image", &image, State::Planned);
        }
        if work.grow.is_some() {
            steps.push("grow-image", &image, State::Planned);
        }
        steps.push("attach-image", &image, State::Planned);
        if let Some(point) = &work.isolate {
            steps.push("stop-propagation", point.display(), State::Planned);
        }
        steps.push("mount-image", target, State::Planned);
        steps
    }
}

fn image_on_loop(
    facts: &Facts,
    options: &Options,
    storage: &mut Storage,
    warnings: &mut Vec<Warning>,
) -> Result<LoopWork, Fault> {
    let target = facts.data_root.path.clone();
    if options.image.starts_with(&target) {
        let fault =
            fault::PATH_INVALID.cannot("mount", options.image.display(), "it lies in the data root itself");
        return Err(fault.hint("set DIND_STORAGE_IMAGE to a file outside, such as /data/docker"));
    }
    if facts.mounted.is_none() && facts.data_root.is_on_other_loop() {
        let fault =
            fault::DATA_ROOT_MOUNTED.cannot("mount on", target.display(), "another image is mounted on it");
        return Err(fault.hint("unmount it, or set DIND_STORAGE_IMAGE to the image that is mounted there"));
    }
    if facts.mounted.is_none() && !facts.data_root.empty {
        let cause = "it is not empty, and the image would hide what is in it";
        let fault = fault::DATA_ROOT_NOT_EMPTY.cannot("mount on", target.display(), cause);
        return Err(fault.hint("empty it, or set DIND_DATA_ROOT to another folder"));
    }
    let mut work = LoopWork {
        image: options.image.clone(),
        target,
        make: None,
        check: false,
        grow: None,
        isolate: isolate(facts, warnings),
        mounted: facts.mounted.is_some(),
    };
    let image = match &facts.image {
        Some(found) => existing(&found.clone()?, facts, options, &mut work, warnings)?,
        None if work.mounted => nameless(facts, options),
        None => new(facts, options, &mut work, warnings)?,
    };
    storage.filesystem.clone_from(&image.filesystem);
    storage.image = Some(image);
    match &facts.mounted {
        Some(mounted) => {
            if let Some(image) = &mut storage.image {
                image.device = Some(mounted.device());
                image.direct_io = mounted.backing.map(|backing| backing.direct_io);
            }
        }
        None => {
            let room = facts.image_folder.space;
            storage.space = room.map(|space| Space { needed_bytes: needed(&work), ..space });
        }
    }
    if facts.mounted.is_none() && matches!(facts.image_folder.mount.kind.as_str(), "overlay" | "aufs") {
        warnings.push(Warning::new(
            fault::IMAGE_ON_OVERLAY,
            format!(
                "{} lies in the container's own layer and is removed with the container",
                options.image.display()
            ),
            "mount a volume on its folder, or set DIND_STORAGE_IMAGE to a file on one",
        ));
    }
    Ok(work)
}

/// A mount in a shared tree appears in every peer, and stays there when the container dies (mount_namespaces(7)).
/// The root is left shared: a container's root has no peers, and its engine wants it so.
fn isolate(facts: &Facts, warnings: &mut Vec<Warning>) -> Option<PathBuf> {
    let mount = &facts.data_root.mount;
    if facts.mounted.is_some() || !mount.shared || mount.point == Path::new("/") {
        return None;
    }
    warnings.push(Warning::new(
        fault::PROPAGATION_STOPPED,
        format!(
            "{} was shared; it is made private, so that the image is mounted here only",
            mount.point.display()
        ),
        "mount the volume without bind-propagation",
    ));
    Some(mount.point.clone())
}

fn existing(
    found: &Found,
    facts: &Facts,
    options: &Options,
    work: &mut LoopWork,
    warnings: &mut Vec<Warning>,
) -> Result<Image, Fault> {
    let larger = match options.size {
        Some(wanted) if wanted < found.size => {
            let cause =
                format!("it has {} bytes, {wanted} were asked for, and an image never shrinks", found.size);
            let fault = fault::SIZE_SHRINKS.cannot("shrink", options.image.display(), cause);
            return Err(
                fault.hint("leave VAR_LIB_DOCKER_SIZE out to keep it, or move the image away to start anew")
            );
        }
        Some(wanted) if wanted > found.size => Some(wanted),
        // The superblock of a mounted one is behind: what it says stands in the journal.
        _ => (!work.mounted && found.is_half_grown()).then_some(found.size),
    };
    let deferred = work.mounted && found.superblock.filesystem == "ext4" && !facts.grows_mounted_ext4;
    work.grow = larger.filter(|_| !deferred);
    if deferred && larger.is_some() {
        warnings.push(grow_deferred(&options.image));
    }
    work.check = found.needs_check() && !work.mounted;
    if options.filesystem.name() != found.superblock.filesystem
        && options.filesystem != options::ImageFilesystem::Ext4
    {
        warnings.push(Warning::new(
            fault::FILESYSTEM_KEPT,
            format!("{} has {} and keeps it", options.image.display(), found.superblock.filesystem),
            "move the image away to start with an empty one",
        ));
    }
    let size = work.grow.unwrap_or(found.size);
    Ok(image(options, size, found.superblock.filesystem, found.is_sparse()))
}

/// A mounted ext4 cannot be made larger by us.
#[must_use]
pub fn grow_deferred(image: &Path) -> Warning {
    Warning::new(
        fault::GROW_DEFERRED,
        format!(
            "{} is mounted and keeps its size for now: growing it takes CAP_SYS_RESOURCE",
            image.display()
        ),
        "run the container with --cap-add SYS_RESOURCE, or apply again after `dind-storage release`",
    )
}

/// The image's file was removed while it was mounted. It lives until the release.
fn nameless(facts: &Facts, options: &Options) -> Image {
    let size = facts.data_root.space.map_or(0, |space| space.total_bytes);
    image(options, size, &facts.data_root.mount.kind, false)
}

fn new(
    facts: &Facts,
    options: &Options,
    work: &mut LoopWork,
    warnings: &mut Vec<Warning>,
) -> Result<Image, Fault> {
    let spec = Spec {
        size: options.size.unwrap_or(size::DEFAULT),
        filesystem: options.filesystem,
        sparse: options.sparse,
    };
    if let Some(space) =
        facts.image_folder.space.filter(|space| !spec.sparse && space.available_bytes < spec.size)
    {
        return Err(make::short(&options.image, spec.size, Some(space.available_bytes)));
    }
    if spec.sparse {
        warnings.push(Warning::new(
            fault::IMAGE_SPARSE,
            format!("{} promises {} bytes that it does not hold", options.image.display(), spec.size),
            "leave DIND_STORAGE_SPARSE out: when the volume below is full, a sparse image turns read-only",
        ));
    }
    let image = image(options, spec.size, spec.filesystem.name(), spec.sparse);
    work.make = Some(spec);
    Ok(image)
}

fn image(options: &Options, size_bytes: u64, filesystem: &str, sparse: bool) -> Image {
    Image {
        path: options.image.clone(),
        size_bytes,
        filesystem: filesystem.to_owned(),
        sparse,
        device: None,
        direct_io: None,
    }
}

fn needed(work: &LoopWork) -> u64 {
    work.make.as_ref().filter(|spec| !spec.sparse).map_or(0, |spec| spec.size)
}
