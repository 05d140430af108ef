//! A larger size for an image that exists. Nothing is ever made smaller.
//!
//! The file grows first, then the file system in it. Interrupted between the two, the file system is shorter than its file,
//! which is harmless, and the next start finishes the work. XFS grows while it is mounted, and only then; ext4 grows either
//! way, but mounted only with CAP_SYS_RESOURCE.

use super::inspect::{self, ImageInfo};
use super::location::ImageLocation;
use super::superblock::Filesystem;
use super::{check, programs, space};
use crate::{fault, loopdev, safe_path};
use dind_contract::Fault;
use dind_system::helper::Finished;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);

/// Requests of fs/ext4/ext4.h.
mod request {
    #![allow(missing_docs)] // the macros take no comments
    nix::ioctl_write_ptr!(resize_fs, b'f', 16, u64);
}

/// Grows the file of an image that is not attached, and the file system where that is ext4.
///
/// # Errors
/// There is not enough space, or a helper fails. The file keeps its new size.
pub fn unmounted(location: &ImageLocation, file: &File, info: &ImageInfo, size: u64) -> Result<(), Fault> {
    let path = &location.path;
    lengthen(location, file, info, size)?;
    if info.superblock.filesystem == Filesystem::Xfs {
        return Ok(());
    }
    // resize2fs insists on a check since the last mount; the check replays the journal too.
    check::check(file, path, true)?;
    let helper = programs::find("resize2fs", "e2fsprogs")?.arg_fd(file.as_fd());
    succeeded(helper.run(LIMIT), path)?;
    file.sync_all().map_err(|error| failed(path, error))
}

/// Grows an image that is mounted on `mounted_on` by the loop device of this number, which is attached to `backing`. False:
/// the kernel does not let us, and nothing was changed.
///
/// # Errors
/// There is not enough space, or the kernel or a helper fails. The file keeps its new size.
pub fn mounted(
    location: &ImageLocation,
    mounted_on: &Path,
    number: i32,
    backing: Option<loopdev::Backing>,
    size: u64,
) -> Result<bool, Fault> {
    let path = &location.path;
    let file = inspect::open(location, OFlag::O_RDWR)?;
    let file = file.ok_or_else(|| failed(path, "the file was removed"))?;
    let meta = file.metadata().map_err(|error| failed(path, error))?;
    // There is no lock to take: the device has it. What it is attached to must be this very file.
    if backing.is_none_or(|backing| (backing.device, backing.inode) != (meta.dev(), meta.ino())) {
        return Err(failed(path, "the mounted image is another file"));
    }
    let info = inspect::inspect(&file, path)?;
    let target = safe_path::open_directory(mounted_on).and_then(|target| safe_path::readable(&target));
    let target = target.map_err(|error| failed(mounted_on, error.desc()))?;
    let is_ext4 = info.superblock.filesystem == Filesystem::Ext4;
    if is_ext4 && resize(&target, info.superblock.bytes) == Err(Errno::EPERM) {
        return Ok(false);
    }
    lengthen(location, &file, &info, size)?;
    loopdev::read_capacity(number)?;
    if is_ext4 {
        resize(&target, size).map_err(|error| failed(path, error.desc()))?;
    } else {
        mounted_xfs(mounted_on)?;
    }
    Ok(true)
}

/// Grows a mounted XFS to the end of its device.
///
/// # Errors
/// `xfs_growfs` fails.
pub fn mounted_xfs(mounted_on: &Path) -> Result<(), Fault> {
    let helper = programs::find("xfs_growfs", programs::XFSPROGS)?.arg("-d").arg(mounted_on);
    succeeded(helper.run(LIMIT), mounted_on)
}

/// What `resize2fs` does to a mounted ext4. With its present size, this only finds out whether it is allowed.
fn resize(target: &File, bytes: u64) -> Result<(), Errno> {
    let block = nix::sys::statvfs::fstatvfs(target)?.fragment_size().max(1);
    let blocks = bytes / block;
    // SAFETY: the request takes a pointer to a 64-bit number of blocks, which outlives the call; the file is open.
    #[allow(unsafe_code)]
    unsafe { request::resize_fs(target.as_raw_fd(), &raw const blocks) }.map(drop)
}

fn lengthen(location: &ImageLocation, file: &File, info: &ImageInfo, size: u64) -> Result<(), Fault> {
    if size > info.size { space::reserve(location, file, size, info.is_sparse()) } else { Ok(()) }
}

fn succeeded(done: std::io::Result<Finished>, path: &Path) -> Result<(), Fault> {
    let done = done.map_err(|error| failed(path, error))?;
    if done.status.success() { Ok(()) } else { Err(failed(path, done.status).cause(done.stderr)) }
}

fn failed(path: &Path, cause: impl std::fmt::Display) -> Fault {
    let fault = fault::IMAGE_NOT_GROWN.cannot("grow", path.display(), cause);
    fault.hint("leave VAR_LIB_DOCKER_SIZE out to use the image as it is")
}
