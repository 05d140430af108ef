//! A larger size for an image that is there. Nothing is ever made smaller.
//!
//! The file grows first, then the file system in it. When it is cut off between the two, the file system is shorter than
//! its file, which is harmless, and the next start finishes the work. XFS grows while it is mounted, and only then; ext4
//! either way, but mounted only for CAP_SYS_RESOURCE.

use crate::facts::Mounted;
use crate::image::{self, Found};
use crate::plan::LoopWork;
use crate::{device, fault, make, paths};
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);

/// Requests of fs/ext4/ext4.h.
mod ioctl {
    #![allow(missing_docs)] // the macros take no comments
    nix::ioctl_write_ptr!(resize_fs, b'f', 16, u64);
}

/// Grows the file of an image that is not attached, and the file system where that is ext4.
///
/// # Errors
/// There is not enough space, or a helper fails. The file keeps its new size.
pub fn file(folder: &OwnedFd, file: &File, path: &Path, found: &Found, size: u64) -> Result<(), Fault> {
    longer(folder, file, path, found, size)?;
    if found.superblock.filesystem == "xfs" {
        return Ok(());
    }
    // resize2fs takes only what was checked since its last mount; the check replays the journal too.
    image::check(file, path, true)?;
    let helper = image::helper("resize2fs", "e2fsprogs")?.arg_fd(file.as_fd());
    finished(helper.run(LIMIT), path)?;
    file.sync_all().map_err(|error| failed(path, error))
}

/// Grows an image while it is mounted. False: the kernel does not let us, and nothing was changed.
///
/// # Errors
/// There is not enough space, or the kernel or a helper fails. The file keeps its new size.
pub fn mounted(work: &LoopWork, mounted: &Mounted, size: u64) -> Result<bool, Fault> {
    let path = &work.image;
    let (folder, _) = paths::split(path)?;
    let folder = paths::open_folder(folder).map_err(|error| paths::unusable(path, error))?;
    let file = image::open(&folder, path, OFlag::O_RDWR)?.ok_or_else(|| failed(path, "it is gone"))?;
    let meta = file.metadata().map_err(|error| failed(path, error))?;
    // There is no lock to take: the device has it. What it is attached to must be this very file.
    if mounted.backing.is_none_or(|backing| (backing.device, backing.inode) != (meta.dev(), meta.ino())) {
        return Err(failed(path, "another file came to lie there"));
    }
    let found = image::examine(&file, path)?;
    let target = paths::open_folder(&work.target).and_then(|target| paths::readable(&target));
    let target = target.map_err(|error| failed(&work.target, error.desc()))?;
    let is_ext4 = found.superblock.filesystem == "ext4";
    if is_ext4 && resize(&target, found.superblock.bytes) == Err(Errno::EPERM) {
        return Ok(false);
    }
    longer(&folder, &file, path, &found, size)?;
    device::read_capacity(mounted.number)?;
    if is_ext4 {
        resize(&target, size).map_err(|error| failed(path, error.desc()))?;
    } else {
        xfs(&work.target)?;
    }
    Ok(true)
}

/// Grows an XFS that is mounted to the end of its device.
///
/// # Errors
/// `xfs_growfs` fails.
pub fn xfs(mounted_on: &Path) -> Result<(), Fault> {
    let helper = image::helper("xfs_growfs", "xfsprogs")?.arg("-d").arg(mounted_on);
    finished(helper.run(LIMIT), mounted_on)
}

/// What `resize2fs` does to a mounted ext4. With the size that it has, it only says whether it may be done.
fn resize(target: &File, bytes: u64) -> Result<(), Errno> {
    let block = nix::sys::statvfs::fstatvfs(target)?.fragment_size().max(1);
    let blocks = bytes / block;
    // SAFETY: the request takes a pointer to a 64-bit number of blocks, which outlives the call; the file is open.
    #[allow(unsafe_code)]
    unsafe { ioctl::resize_fs(target.as_raw_fd(), &raw const blocks) }.map(drop)
}

fn longer(folder: &OwnedFd, file: &File, path: &Path, found: &Found, size: u64) -> Result<(), Fault> {
    if size > found.size { make::reserve(folder, file, path, size, found.is_sparse()) } else { Ok(()) }
}

fn finished(done: std::io::Result<dind_contract::helper::Finished>, path: &Path) -> Result<(), Fault> {
    let done = done.map_err(|error| failed(path, error))?;
    if done.status.success() { Ok(()) } else { Err(failed(path, done.status).cause(done.stderr)) }
}

fn failed(path: &Path, cause: impl std::fmt::Display) -> Fault {
    let fault = fault::IMAGE_NOT_GROWN.cannot("grow", path.display(), cause);
    fault.hint("leave VAR_LIB_DOCKER_SIZE out to use the image as it is")
}
