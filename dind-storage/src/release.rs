//! Undoes an apply: unmounts the image, and does not believe the kernel's "done" until the loop device is free.

use crate::apply::privileged;
use crate::document::{Backing, Image, ProbeSource, Storage};
use crate::facts::{self, Mounted};
use crate::options::Options;
use crate::{device, fault, holders, mounts};
use dind_contract::{Draft, Engine, Failed, Fault, Outcome, Root, State, Steps, Warning};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel may take to let go of a device after the last unmount. It is a few milliseconds, unless
/// somebody holds the file system in another mount namespace.
const LIMIT: Duration = Duration::from_secs(2);

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
    };
    match mounted {
        Some(mounted) => {
            storage.backing = Backing::Loop;
            storage.image = describe(options, &mounted);
            let below = mounts::below(&mounts, &data_root);
            let released = let_go(&data_root, &below, &mounted, &mut steps);
            released.map_err(|fault| Failed { fault: Box::new(fault), steps: steps.clone() })?;
        }
        None if options.backing == Some(Backing::Loop) && mounts::at(&mounts, &data_root).is_some() => {
            warnings.push(Warning::new(
                fault::MOUNT_NOT_OURS,
                format!("what is mounted on {} is not {}", data_root.display(), options.image.display()),
                "it was left as it is; set DIND_STORAGE_IMAGE to the image that was applied",
            ));
        }
        None => {}
    }
    Ok(Draft { result: storage, engine: Engine::default(), steps, warnings })
}

fn describe(options: &Options, mounted: &Mounted) -> Option<Image> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(&options.image).ok()?;
    Some(Image {
        path: options.image.clone(),
        size_bytes: meta.len(),
        filesystem: mounted.mount.kind.clone(),
        sparse: meta.blocks().saturating_mul(512) < meta.len(),
        device: None,
        direct_io: None,
    })
}

fn let_go(data_root: &Path, below: &[PathBuf], mounted: &Mounted, steps: &mut Steps) -> Result<(), Fault> {
    for point in below.iter().map(PathBuf::as_path).chain([data_root]) {
        match unmount(point) {
            Ok(()) => steps.push(
                if point == data_root { "unmount-image" } else { "unmount" },
                point.display(),
                State::Done,
            ),
            Err(Errno::EBUSY) => return Err(still_in_use(point, mounted)),
            Err(error) => {
                let fault = fault::UNMOUNT_FAILED.cannot("unmount", point.display(), error.desc());
                return Err(fault.hint("look at `findmnt` and at the kernel's log"));
            }
        }
    }
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
    Ok(())
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
