//! The golden image: the file that new images are cloned from. It is only ever read, and comes out byte for byte as it went in.
//!
//! What is asked of it is more than of an image of our own: a clone is mounted by whoever got it, so nobody but root may have had
//! a chance to write to it, and it must be whole as it lies there, with no journal to replay. Its label may be any.

use super::inspect::{self, ImageInfo};
use super::location::ImageLocation;
use super::lock;
use super::superblock::Dirty;
use crate::fault;
use dind_contract::{Code, Fault};
use nix::fcntl::OFlag;
use std::fs::File;
use std::path::Path;

/// Opens a golden image, for reading.
///
/// # Errors
/// There is none, or somebody else may write to it.
pub fn open(path: &Path) -> Result<File, Fault> {
    let location = ImageLocation::find(path)?.ok_or_else(|| missing(path))?;
    let file = inspect::open(&location, OFlag::O_RDONLY).map_err(advised)?;
    file.ok_or_else(|| missing(path))
}

/// The same, locked against whoever would write to it; others may clone it at the same time.
///
/// # Errors
/// Those of [`open`] and [`look`], and somebody has it attached.
pub fn open_shared(path: &Path) -> Result<(File, ImageInfo), Fault> {
    let file = open(path)?;
    // Before the lock, somebody may still write to it.
    lock::share(&file, path).map_err(advised)?;
    let info = look(&file, path)?;
    Ok((file, info))
}

/// Whether an open file can be cloned, as far as it says so itself.
///
/// # Errors
/// Its file system is unknown, broken, or was not unmounted.
pub fn look(file: &File, path: &Path) -> Result<ImageInfo, Fault> {
    let info = inspect::inspect_any(file, path).map_err(advised)?;
    if info.superblock.errors {
        let fault = unclean(path, "its file system has met errors");
        return Err(fault.hint(format!("run `e2fsck -f {}`, or make it anew", path.display())));
    }
    if info.superblock.dirty != Dirty::No {
        return Err(unclean(path, "its file system was not unmounted"));
    }
    Ok(info)
}

/// The file system is mounted, or was not unmounted, or has errors.
#[must_use]
pub fn unclean(path: &Path, cause: impl std::fmt::Display) -> Fault {
    let hint = format!(
        "stop the node that has it; or mount it once and unmount it: `mount -o loop {} /mnt && umount /mnt`",
        path.display()
    );
    fault::GOLDEN_IMAGE_UNCLEAN.cannot("clone", path.display(), cause).hint(hint)
}

/// There is no such file.
#[must_use]
pub fn missing(path: &Path) -> Fault {
    let fault = fault::GOLDEN_IMAGE_MISSING.cannot("clone", path.display(), "there is no such file");
    fault.hint("set DIND_STORAGE_IMAGE_FROM to a loop image, or leave it out for an empty one")
}

/// Somebody can write to it.
#[must_use]
pub fn in_use(path: &Path) -> Fault {
    advised(lock::in_use(path))
}

/// The hints of these errors are about DIND_STORAGE_IMAGE, and this is another file.
fn advised(fault: Fault) -> Fault {
    const IN_USE: Code = fault::IMAGE_IN_USE;
    const UNSAFE: Code = fault::IMAGE_UNSAFE;
    const FOREIGN: Code = fault::IMAGE_FOREIGN;
    const BROKEN: Code = fault::IMAGE_BROKEN;
    let hint = match fault.code {
        IN_USE => "stop the node that has it: a golden image is cloned while nobody writes to it",
        UNSAFE => "make the golden image root's alone: chown 0:0, chmod 600",
        FOREIGN => "set DIND_STORAGE_IMAGE_FROM to an ext4 or xfs image, or leave it out for an empty one",
        BROKEN => "make the golden image anew, or leave DIND_STORAGE_IMAGE_FROM out for an empty one",
        _ => return fault,
    };
    fault.hint(hint)
}
