//! Undoes an apply: unmounts the image, and does not believe the kernel's "done" until the loop device is free.

use crate::apply::privileged;
use crate::document::{Backing, Image, ProbeSource, Storage};
use crate::facts::{self, Mounted};
use crate::options::Options;
use crate::{device, fault, health, holders, make, mounts, paths, trim};
use dind_contract::{Draft, Engine, Failed, Fault, Outcome, Root, State, Steps, Warning};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel may take to let go of a device after the last unmount. It is a few milliseconds, unless
/// somebody holds the file system in another mount namespace.
const LIMIT: Duration = Duration::from_secs(2);

/// How long somebody may look in, a health check or `df`, before that counts as use.
const PASSING: Duration = Duration::from_millis(500);

/// Unmounts the image, if it is ours and mounted. It finds out by itself: a record could be wrong.
///
/// # Errors
/// Processes still use it; they are named.
pub fn release(root: &Root, options: &Options) -> Outcome<Storage> {
    privileged(root, "release")?;
    let data_root = facts::resolved(root, &options.data_root);
    let mounts = facts::mounts(root)?;
    let mounted = facts::mounted(root, &mounts, &data_root, &options.image);
    let mut steps = Steps::default();
    let mut warnings = Vec::new();
    let beneath = mounts::carrying(&mounts, &data_root).map(|mount| mount.kind.clone());
    let mut storage = Storage {
        data_root: options.data_root.clone(),
        driver: None,
        backing: Backing::Native,
        filesystem: beneath.unwrap_or_default(),
        probe: ProbeSource::NotNeeded,
        image: None,
        passed_over: Vec::new(),
        space: None,
        health: None,
    };
    match mounted {
        Some(mounted) => {
            storage.backing = Backing::Loop;
            storage.image = describe(root, options, &mounted);
            let sparse = storage.image.as_ref().filter(|image| image.sparse).map(|image| image.size_bytes);
            let below = mounts::below(&mounts, &data_root);
            let released = let_go(root, &data_root, &below, &mounted, sparse, &mut steps);
            released.map_err(|fault| Failed { fault: Box::new(fault), steps: steps.clone() })?;
        }
        None if options.backing == Some(Backing::Loop) && mounts::at(&mounts, &data_root).is_some() => {
            warnings.push(Warning::new(
                fault::MOUNT_NOT_OURS,
                format!("what is mounted on {} is not {}", data_root.display(), options.image.display()),
                "it was left as it is; set DIND_STORAGE_IMAGE to the image that was applied",
            ));
        }
        None => remove_remains(&options.image, &mut steps),
    }
    Ok(Draft { result: storage, engine: Engine::default(), steps, warnings })
}

/// An apply that was killed while it made the image has left a file that nobody uses, with all the space of an image. One
/// that somebody else is making right now is locked and stays.
fn remove_remains(image: &Path, steps: &mut Steps) {
    let folder = image.parent().and_then(|folder| paths::open_folder(folder).ok());
    if let Some(Ok(1..)) = folder.map(|folder| make::sweep(&folder, image)) {
        steps.push("remove-remains", image.display(), State::Done);
    }
}

/// Nothing of an image that has lost its name.
fn describe(root: &Root, options: &Options, mounted: &Mounted) -> Option<Image> {
    let found = facts::existing_image(root, &options.image)?.ok()?;
    Some(Image {
        path: options.image.clone(),
        size_bytes: found.size,
        filesystem: mounted.mount.kind.clone(),
        sparse: found.is_sparse(),
        device: None,
        direct_io: None,
    })
}

fn let_go(
    root: &Root,
    data_root: &Path,
    below: &[PathBuf],
    mounted: &Mounted,
    sparse: Option<u64>,
    steps: &mut Steps,
) -> Result<(), Fault> {
    for point in below {
        take_down("unmount", point, mounted, steps)?;
    }
    if let Some(size) = sparse {
        // A gain, not a need: where it does not work, the image keeps what it took.
        let state = trim::free_blocks(data_root, size).map_or(State::Skipped, |()| State::Done);
        steps.push("trim-image", data_root.display(), state);
    }
    // An unmount writes what is left to write, and tells nobody when that fails.
    let written = sync(data_root);
    let health = health::at(root, data_root)?;
    take_down("unmount-image", data_root, mounted, steps)?;
    let started = Instant::now();
    let mut pause = Duration::from_micros(200);
    // There is no event to wait for: sysfs has no notification for a cleared loop device.
    while is_attached(mounted) {
        if started.elapsed() > LIMIT {
            return Err(still_in_use(&mounted.device(), mounted));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    steps.push("detach-image", mounted.device().display(), State::Done);
    let complaint = match (written, health.filter(|health| !health.is_good())) {
        (_, Some(health)) => format!("the file system {}", health.complaint()),
        (Err(error), None) => format!("writing the last of it failed: {}", error.desc()),
        (Ok(()), None) => return Ok(()),
    };
    let fault =
        fault::FILESYSTEM_ERRORS.cannot("vouch for what was written to", data_root.display(), complaint);
    Err(fault.hint("make room below the image and look at the kernel's log; the next apply checks the image"))
}

fn sync(folder: &Path) -> nix::Result<()> {
    nix::unistd::syncfs(paths::readable(&paths::open_folder(folder)?)?.as_fd())
}

fn take_down(op: &str, point: &Path, mounted: &Mounted, steps: &mut Steps) -> Result<(), Fault> {
    let deadline = Instant::now() + PASSING;
    loop {
        match unmount(point) {
            Ok(()) => {
                steps.push(op, point.display(), State::Done);
                return Ok(());
            }
            Err(Errno::EBUSY) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(Errno::EBUSY) => return Err(still_in_use(point, mounted)),
            Err(error) => {
                let fault = fault::UNMOUNT_FAILED.cannot("unmount", point.display(), error.desc());
                return Err(fault.hint("look at `findmnt` and at the kernel's log"));
            }
        }
    }
}

/// Whether the device still has our file; by now it may have somebody else's.
fn is_attached(mounted: &Mounted) -> bool {
    if !device::backing_file(mounted.number).exists() {
        return false;
    }
    match (device::backing(mounted.number), mounted.backing) {
        (Ok(now), Some(ours)) => now.is_some_and(|now| (now.device, now.inode) == (ours.device, ours.inode)),
        // Who cannot ask the device sees only that it has some file.
        _ => true,
    }
}

/// Unmounts one mount point, and never what a link in its place leads to.
///
/// # Errors
/// Those of umount2(2).
pub fn unmount(point: &Path) -> Result<(), Errno> {
    umount2(point, MntFlags::UMOUNT_NOFOLLOW)
}

fn still_in_use(object: &Path, mounted: &Mounted) -> Fault {
    let mut fault =
        fault::STILL_IN_USE.cannot("release", object.display(), "processes still use the file system on it");
    for holder in holders::of(mounted.mount.device) {
        fault = fault.cause(holder);
    }
    fault.hint("stop the processes that are named, then run `dind-storage release` again")
}
