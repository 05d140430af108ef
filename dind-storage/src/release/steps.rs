//! The steps of a release. None of them is taken back: what could be released stays so.

use super::holders;
use crate::facts::health;
use crate::facts::mounts::MountedImage;
use crate::image::location::ImageLocation;
use crate::image::{temporary, trim};
use crate::store::DRIVER_DIRECTORY;
use crate::{fault, loopdev, mount, safe_path};
use dind_contract::Fault;
use dind_contract::step::{self, Applied, Apply, Undo};
use dind_system::Root;
use nix::errno::Errno;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel may take to free a device after the last unmount. It is a few milliseconds, unless a process holds
/// the file system in another mount namespace.
const DETACH_LIMIT: Duration = Duration::from_secs(2);

/// How long a process may look in, a health check or `df`, before that counts as use.
const BRIEF_USE: Duration = Duration::from_millis(500);

/// One change of the machine. README.md explains each op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `remove-remains`: the unfinished file of an apply that was killed.
    RemoveRemains {
        /// The image's file.
        image: PathBuf,
    },
    /// `unbind-seeds`: the files of the seeds' layers. What is known of their images stays.
    UnbindSeeds {
        /// The data root.
        data_root: PathBuf,
        /// Where they are mounted.
        points: Vec<PathBuf>,
    },
    /// `detach-seed`: a seed that is a file. The kernel frees its loop device with the last node that uses it.
    DetachSeed {
        /// Where it is mounted.
        point: PathBuf,
    },
    /// `unmount`: a mount below the data root.
    Unmount(PathBuf),
    /// `trim-image`: gives the free blocks of a sparse image back to the file system below.
    TrimImage {
        /// The data root.
        point: PathBuf,
        /// The image's size in bytes.
        size: u64,
    },
    /// `unmount-image`.
    UnmountImage {
        /// The data root.
        point: PathBuf,
    },
    /// `detach-image`: the kernel frees the loop device with its last user; this waits for it.
    DetachImage {
        /// The loop device.
        device: PathBuf,
    },
}

impl step::Step for Step {
    fn op(&self) -> &'static str {
        match self {
            Self::RemoveRemains { .. } => "remove-remains",
            Self::UnbindSeeds { .. } => "unbind-seeds",
            Self::DetachSeed { .. } => "detach-seed",
            Self::Unmount(_) => "unmount",
            Self::TrimImage { .. } => "trim-image",
            Self::UnmountImage { .. } => "unmount-image",
            Self::DetachImage { .. } => "detach-image",
        }
    }

    fn target(&self) -> String {
        if let Self::UnbindSeeds { data_root, .. } = self {
            return data_root.join(DRIVER_DIRECTORY).display().to_string();
        }
        let (Self::RemoveRemains { image: path }
        | Self::UnbindSeeds { data_root: path, .. }
        | Self::DetachSeed { point: path }
        | Self::Unmount(path)
        | Self::TrimImage { point: path, .. }
        | Self::UnmountImage { point: path }
        | Self::DetachImage { device: path }) = self;
        path.display().to_string()
    }
}

/// What the steps of a release hand on.
#[derive(Debug)]
pub struct Context {
    root: Root,
    data_root: PathBuf,
    mounted: Option<MountedImage>,
    /// Why what was written last may be lost.
    write_error: Option<String>,
}

impl Context {
    pub(super) fn new(root: &Root, data_root: &Path, mounted: Option<MountedImage>) -> Self {
        Self { root: root.clone(), data_root: data_root.to_owned(), mounted, write_error: None }
    }

    /// Whether everything was written to the image.
    pub(super) fn written(&self) -> Result<(), Fault> {
        let Some(cause) = &self.write_error else { return Ok(()) };
        let what = format_args!("data on `{}` may be lost", self.data_root.display());
        let fault = fault::FILESYSTEM_ERRORS.failed(what, cause);
        Err(fault.hint(
            "free space on the volume below the image and look at the kernel's log; the next apply checks the image",
        ))
    }

    fn still_in_use(&self, object: &Path) -> Fault {
        let cause = "processes still use the file system on it";
        let mut fault = fault::STILL_IN_USE.cannot("release", object.display(), cause);
        for holder in self.mounted.iter().flat_map(|mounted| holders::of(mounted.mount.device)) {
            fault = fault.cause(holder);
        }
        fault.hint("stop the processes that are named, then run `dind-storage release` again")
    }

    /// Whether the device still has our file; by now it may have another process's.
    fn is_attached(&self) -> bool {
        let Some(mounted) = &self.mounted else { return false };
        if !self.root.exists(loopdev::backing_file(mounted.number)) {
            return false;
        }
        match (loopdev::backing(mounted.number), mounted.backing) {
            (Ok(now), Some(ours)) => {
                now.is_some_and(|now| (now.device, now.inode) == (ours.device, ours.inode))
            }
            // Who cannot query the device sees only that it has some file.
            _ => true,
        }
    }
}

impl Apply for Step {
    type Context = Context;

    fn apply(&self, context: &mut Context) -> Result<Applied<Context>, Fault> {
        match self {
            Self::RemoveRemains { image } => return Ok(remove_remains(image)),
            Self::UnbindSeeds { points, .. } => {
                points.iter().try_for_each(|point| unmount(context, point))?;
            }
            Self::DetachSeed { point } | Self::Unmount(point) => unmount(context, point)?,
            // An optimisation: where it does not work, the image keeps what it has.
            Self::TrimImage { point, size } => {
                if trim::free_blocks(point, *size).is_err() {
                    return Ok(Applied::Skipped);
                }
            }
            Self::UnmountImage { point } => {
                // An unmount writes what is left to write, and does not report when that fails.
                let synced = sync(point);
                let health = health::at(&context.root, point)?.filter(|health| !health.is_good());
                unmount(context, point)?;
                context.write_error = match (health, synced) {
                    (Some(health), _) => Some(format!("the file system {}", health.complaint())),
                    (None, Err(error)) => Some(format!("the last write failed: {}", error.desc())),
                    (None, Ok(())) => None,
                };
            }
            Self::DetachImage { device } => wait_until_detached(context, device)?,
        }
        Ok(Applied::Done(Undo::Keep))
    }
}

/// A file that another process is making right now is locked, and stays.
fn remove_remains(image: &Path) -> Applied<Context> {
    let removed = ImageLocation::open(image).and_then(|location| temporary::remove_stale(&location));
    if removed == Ok(true) { Applied::Done(Undo::Keep) } else { Applied::Skipped }
}

fn sync(directory: &Path) -> nix::Result<()> {
    nix::unistd::syncfs(safe_path::readable(&safe_path::open_directory(directory)?)?.as_fd())
}

fn unmount(context: &Context, point: &Path) -> Result<(), Fault> {
    let deadline = Instant::now() + BRIEF_USE;
    loop {
        match mount::unmount(point) {
            Ok(()) => return Ok(()),
            Err(Errno::EBUSY) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(Errno::EBUSY) => return Err(context.still_in_use(point)),
            Err(error) => {
                let fault = fault::UNMOUNT_FAILED.cannot("unmount", point.display(), error.desc());
                return Err(fault.hint("look at `findmnt` and at the kernel's log"));
            }
        }
    }
}

fn wait_until_detached(context: &Context, device: &Path) -> Result<(), Fault> {
    let started = Instant::now();
    let mut pause = Duration::from_micros(200);
    // There is no event to wait for: sysfs has no notification for a freed loop device.
    while context.is_attached() {
        if started.elapsed() > DETACH_LIMIT {
            return Err(context.still_in_use(device));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(())
}
