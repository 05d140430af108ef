//! The space of an image's file: reserved, or refused with both numbers.

use super::location::ImageLocation;
use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::ftruncate;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Makes a file `size` bytes long, and reserves the space for it unless `sparse`.
///
/// # Errors
/// There is less space than that, or it cannot be reserved.
pub fn reserve(location: &ImageLocation, file: &File, size: u64, sparse: bool) -> Result<(), Fault> {
    let path = &location.path;
    let length = i64::try_from(size).map_err(|error| not_made(path, error))?;
    if sparse {
        return ftruncate(file, length).map_err(|error| not_made(path, error.desc()));
    }
    let has = file.metadata().map_err(|error| not_made(path, error))?.blocks().saturating_mul(512);
    let needed = size.saturating_sub(has);
    if needed == 0 && file.metadata().is_ok_and(|meta| meta.len() == size) {
        // XFS wants as much free space again before it finds that there is nothing to reserve.
        return Ok(());
    }
    let available = available(location);
    if available.is_some_and(|available| available < needed) {
        return Err(short(path, needed, available));
    }
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, length) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::ENOSPC | Errno::EDQUOT) => return Err(short(path, needed, available)),
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                let cause = "the file system there cannot reserve space";
                let fault = fault::RESERVE_UNSUPPORTED.cannot("make", path.display(), cause);
                let hint = "set DIND_STORAGE_SPARSE=true, or put the image on ext4, xfs or btrfs";
                return Err(fault.hint(hint));
            }
            Err(Errno::EFBIG) => {
                let hint = "run the container with --ulimit fsize=-1, or set a smaller VAR_LIB_DOCKER_SIZE";
                return Err(not_made(path, "it is larger than the limit for files").hint(hint));
            }
            Err(error) => return Err(not_made(path, error.desc())),
        }
    }
}

/// What a user may still write in the file system of the image's directory, in bytes.
pub fn available(location: &ImageLocation) -> Option<u64> {
    let stat = fstatvfs(&location.dir).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// An image that does not fit.
#[must_use]
pub fn short(path: &Path, needed: u64, available: Option<u64>) -> Fault {
    let has = available.map_or_else(String::new, |bytes| format!(", {bytes} bytes are available"));
    let fault = fault::SPACE_SHORT.cannot("make", path.display(), format!("it needs {needed} bytes{has}"));
    fault.hint("set a smaller VAR_LIB_DOCKER_SIZE, or DIND_STORAGE_IMAGE to a file on a larger volume")
}

/// The same for a clone: a smaller size is no way out, because an image is never shrunk.
#[must_use]
pub fn advised_for_clone(fault: Fault) -> Fault {
    if fault.code != fault::SPACE_SHORT {
        return fault;
    }
    fault.hint(
        "set DIND_STORAGE_IMAGE to a file on a larger volume, or DIND_STORAGE_SPARSE=true to take no more than the golden \
         image has in use",
    )
}

/// An image that cannot be made.
#[must_use]
pub fn not_made(path: &Path, cause: impl std::fmt::Display) -> Fault {
    let fault = fault::IMAGE_NOT_MADE.cannot("make", path.display(), cause);
    fault.hint("look at the kernel's log, or set DIND_STORAGE_IMAGE to a file on another volume")
}
