//! How each step of a plan is made, and taken back.

use super::context::{Context, OpenImage};
use super::{data_root, seeds};
use crate::data_root::NOT_DATA;
use crate::facts::content;
use crate::image::clone::{self, Clone};
use crate::image::create::{self, NewImage};
use crate::image::location::ImageLocation;
use crate::image::superblock::Filesystem;
use crate::image::{check, grow, inspect, lock, space};
use crate::plan::clone::shares_blocks;
use crate::plan::image::grow_deferred;
use crate::plan::step::Step;
use crate::{facts, fault, loopdev, mount, safe_path};
use dind_contract::step::{Applied, Apply, Undo};
use dind_contract::{Fault, Warning};
use dind_system::EngineVersion;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

type Made = Result<Applied<Context>, Fault>;

impl Apply for Step {
    type Context = Context;

    fn apply(&self, context: &mut Context) -> Made {
        match self {
            Self::MakeDirectory(path) => make_directory(path),
            Self::MakeImage { image, new } => make_image(context, image, new.as_ref()),
            Self::CheckImage { image } => check_image(context, image),
            Self::GrowImage { image, size, mounted: false } => grow_image(context, image, *size),
            Self::GrowImage { image, size, mounted: true } => grow_mounted_image(context, image, *size),
            Self::MakeLoopNode => make_loop_node(context),
            Self::AttachImage { image } => attach_image(context, image),
            Self::StopPropagation { point } => stop_propagation(point),
            Self::MountImage { target, grows, .. } => mount_image(context, target, *grows),
            Self::RemoveEngineId { data_root } => Ok(kept_if(data_root::remove_engine_id(data_root)?)),
            Self::AdjustReserve { data_root, .. } => {
                Ok(kept_if(data_root::adjust_reserve(&context.root, data_root)))
            }
            Self::AttachSeed { seed, data_root, .. } => seeds::attach(context, data_root, seed),
            Self::MergeSeeds { data_root, options, .. } => seeds::merge_seeds(context, data_root, options),
            Self::BindSeeds { data_root, options, .. } => seeds::bind_seeds(context, data_root, options),
            Self::NameNode { data_root, name, .. } => Ok(kept_if(data_root::name_node(data_root, name))),
        }
    }
}

/// Done and never taken back, or skipped.
fn kept_if(done: bool) -> Applied<Context> {
    if done { Applied::Done(Undo::Keep) } else { Applied::Skipped }
}

/// Another process may have made it meanwhile.
fn make_directory(path: &Path) -> Made {
    if !safe_path::make_directory(path)? {
        return Ok(Applied::Skipped);
    }
    let path = path.to_owned();
    Ok(Applied::undo(move |_| safe_path::remove_directory(&path).is_ok()))
}

fn make_image(context: &mut Context, image: &Path, new: Option<&NewImage>) -> Made {
    let location = ImageLocation::open(image)?;
    // Another process may have made one meanwhile, and released it.
    if let Some((file, info)) = inspect::open_locked(&location)? {
        context.image = Some(OpenImage { location, file, info });
        return Ok(Applied::Skipped);
    }
    let new = new.ok_or_else(|| lock::in_use(image))?;
    let file = match &new.from {
        Some(from) => clone_image(context, &location, new, from)?,
        None => create::create(&location, new)?,
    };
    let info = inspect::inspect(&file, image).inspect_err(|_| _ = location.remove(&location.name))?;
    context.image = Some(OpenImage { location, file, info });
    Ok(Applied::undo(|context: &mut Context| {
        // The file is open, and so locked, until its name is gone.
        context.image.take().is_some_and(|image| image.location.remove(&image.location.name).is_ok())
    }))
}

fn clone_image(
    context: &mut Context,
    location: &ImageLocation,
    new: &NewImage,
    from: &Path,
) -> Result<File, Fault> {
    let Clone { file, cloned, shared } = clone::create(location, new, from)?;
    if let Some(report) = &mut context.storage.image {
        report.cloned = Some(cloned);
    }
    if shared > 0 && !new.sparse {
        context.warnings.push(shares_blocks(&location.path, from, shared));
    }
    Ok(file)
}

fn check_image(context: &mut Context, image: &Path) -> Made {
    let open = context.image(image)?;
    if !open.info.needs_check() {
        return Ok(Applied::Skipped);
    }
    check::check(&open.file, image, false)?;
    Ok(Applied::Done(Undo::Keep))
}

fn grow_image(context: &mut Context, image: &Path, size: u64) -> Made {
    let OpenImage { location, file, info } = context.image(image)?;
    if info.size >= size && !info.is_half_grown() {
        return Ok(Applied::Skipped);
    }
    grow::unmounted(location, file, info, size)?;
    Ok(Applied::Done(Undo::Keep))
}

fn grow_mounted_image(context: &mut Context, image: &Path, size: u64) -> Made {
    let location = ImageLocation::open(image)?;
    if let Some(mounted) = &context.mounted
        && grow::mounted(&location, &mounted.mount.point, mounted.number, mounted.backing, size)?
    {
        return Ok(Applied::Done(Undo::Keep));
    }
    context.warnings.push(grow_deferred(image));
    Ok(Applied::Skipped)
}

fn make_loop_node(context: &mut Context) -> Made {
    let node = loopdev::free_node()?;
    let made = node.made.then(|| node.path.clone());
    context.node = Some(node);
    Ok(made.map_or(Applied::Skipped, |path| Applied::undo(move |_| fs::remove_file(&path).is_ok())))
}

fn attach_image(context: &mut Context, image: &Path) -> Made {
    let node = context.node.take();
    let OpenImage { location, file, .. } = context.image(image)?;
    // As it is now: made, checked, grown, or found by a plan that is out of date.
    let info = inspect::inspect(file, image)?;
    if info.needs_check() {
        return Err(
            lock::in_use(image).cause("it was used since the plan was made, and has to be checked now")
        );
    }
    if !info.is_sparse() && info.allocated < info.size {
        // Holes in its reservation. An image that cannot have all of its space back can still be used.
        let _ = space::reserve(location, file, info.size, false);
    }
    let attached = loopdev::attach(file, info.sector, node)?;
    if let Some(report) = &mut context.storage.image {
        report.device = Some(attached.node.path.clone());
        report.direct_io = Some(attached.direct_io);
    }
    if !attached.direct_io {
        context.warnings.push(Warning::new(
            fault::BUFFERED_IO,
            "direct I/O does not work for the image: its pages are cached twice",
            "put the image on ext4, xfs or btrfs",
        ));
    }
    context.attached = Some(attached);
    Ok(Applied::undo(|context: &mut Context| {
        context.attached.take().is_some_and(|attached| attached.detach().is_ok())
    }))
}

fn stop_propagation(point: &Path) -> Made {
    mount::make_private(point).map_err(|error| mount::failed("make private", point, error.desc()))?;
    let point = point.to_owned();
    Ok(Applied::undo(move |_| mount::make_shared(&point).is_ok()))
}

fn mount_image(context: &mut Context, target: &Path, grows: bool) -> Made {
    let failed = |cause: &str| mount::failed("mount the image on", target, cause);
    let (Some(image), Some(attached)) = (&context.image, &context.attached) else {
        return Err(failed("it is not attached"));
    };
    let filesystem = image.info.superblock.filesystem;
    let options = match filesystem {
        // The kernel zeroes inode tables in the background by punching holes, into the reservation too. They are zeroes
        // already, in a file that was new, and ext4 knows which of them it has not used yet.
        Filesystem::Ext4 => "errors=remount-ro,noinit_itable",
        // Quotas for single containers. dockerd's overlay2 has them on xfs alone (moby, daemon/graphdriver/overlay2).
        Filesystem::Xfs => "pquota",
    };
    let place = safe_path::open_directory(target).map_err(|error| safe_path::unusable(target, error))?;
    check_empty(&place, target)?;
    let point = safe_path::by_descriptor(place.as_fd());
    let mount = |options| mount::device(&attached.node.path, &point, filesystem.name(), options);
    match mount(Some(options)) {
        // A kernel without quotas refuses the option (fs/xfs/xfs_super.c).
        Err(Errno::EINVAL | Errno::ENOSYS) if filesystem == Filesystem::Xfs => {
            mount(None).map_err(|error| failed(error.desc()))?;
            context.warnings.push(Warning::new(
                fault::QUOTA_UNAVAILABLE,
                "the kernel has no quotas for xfs: `docker run --storage-opt size=…` is refused",
                "use a kernel with CONFIG_XFS_QUOTA",
            ));
        }
        mounted => mounted.map_err(|error| failed(error.desc()))?,
    }
    drop(place);
    let rdev = attached.node.rdev;
    let unmount = |target: &PathBuf| mount::unmount(target).is_ok();
    let target = target.to_owned();
    finish_mount(context, &target, rdev, grows).inspect_err(|_| _ = unmount(&target))?;
    Ok(Applied::undo(move |context: &mut Context| {
        context.seeds.unlock();
        unmount(&target)
    }))
}

/// What is mounted must be our device, only here, and closed to all but root.
fn finish_mount(context: &mut Context, target: &Path, rdev: u64, grows: bool) -> Result<(), Fault> {
    let failed = |cause: &str| mount::failed("mount the image on", target, cause);
    let top = safe_path::open_directory(target).map_err(|error| failed(error.desc()))?;
    let found = fstat(&top).map_err(|error| failed(error.desc()))?;
    if found.st_dev != rdev {
        return Err(failed("another device came to be mounted there"));
    }
    mount::make_private(target).map_err(|error| failed(error.desc()))?;
    // As dockerd makes its data root.
    let mode = fs::Permissions::from_mode(0o711);
    fs::set_permissions(safe_path::by_descriptor(top.as_fd()), mode)
        .map_err(|error| failed(&error.to_string()))?;
    drop(top);
    if grows {
        grow::mounted_xfs(target)?;
    }
    // The journal may hold errors that the superblock did not.
    context.storage.health = facts::health::at(&context.root, target)?;
    context.warnings.extend(context.storage.health.and_then(|health| health.warning(target)));
    choose_store(context, target)
}

/// What is in the image decides where the engine keeps its images.
fn choose_store(context: &mut Context, data_root: &Path) -> Result<(), Fault> {
    let content = content::observe(&context.root, data_root);
    if content.containerd && !matches!(context.question.engine, EngineVersion::Exact(..)) {
        context.question.engine = content::exact();
    }
    let answer = context.question.answer(Some(&content))?;
    context.storage.store = Some(answer.store);
    let new = answer.warnings.into_iter().filter(|warning| !context.warnings.contains(warning));
    context.warnings.extend(new.collect::<Vec<_>>());
    Ok(())
}

/// The plan has looked too, but before; this is the very directory that is mounted on.
fn check_empty(place: &OwnedFd, target: &Path) -> Result<(), Fault> {
    let names = safe_path::readable(place)
        .map_err(std::io::Error::from)
        .and_then(|directory| fs::read_dir(safe_path::by_descriptor(directory.as_fd())))
        .map_err(|error| mount::failed("mount on", target, error))?;
    match names.flatten().find(|entry| !NOT_DATA.iter().any(|name| entry.file_name() == *name)) {
        None => Ok(()),
        Some(entry) => {
            let cause = format!("it now holds `{}`", entry.file_name().to_string_lossy());
            let fault = fault::DATA_ROOT_NOT_EMPTY.cannot("mount on", target.display(), cause);
            Err(fault.hint("empty it, or set DIND_DATA_ROOT to another directory"))
        }
    }
}
