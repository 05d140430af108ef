//! The directory for what is not finished, or about to be removed: a kill leaves nothing elsewhere.
//!
//! Nothing here descends into a directory that it does not know: below a layer's `diff` lie the files of a seed.

use super::record;
use crate::mount;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where unfinished things are, and what is about to be removed.
pub(super) fn directory(data_root: &Path) -> PathBuf {
    record::directory(data_root).join("work")
}

/// Has ext4 put the directories that are made in this one into block groups of their own (chattr(1), attribute T). In the
/// group of the data root it passes over each inode that was deleted in the last minutes, one by one (`find_inode_bit`,
/// fs/ext4/ialloc.c): where nodes come and go, that is the most of a first start. Other file systems have no such flag.
pub(super) fn spread(directory: &Path) {
    if let Ok(directory) = File::open(directory)
        && let Ok(flags) = ioctl_getflags(&directory)
    {
        let _ = ioctl_setflags(&directory, flags | IFlags::TOPDIR);
    }
}

/// Whether a kill has left anything.
#[must_use]
pub fn has_remains(data_root: &Path) -> bool {
    !is_missing(&directory(data_root))
}

/// Removes what a kill has left.
pub fn remove_remains(data_root: &Path) {
    remove_all_in(&directory(data_root));
}

/// Removes the directory and what is in it.
pub(super) fn remove_all_in(work: &Path) {
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let _ = remove(&entry.path());
    }
    let _ = fs::remove_dir(work);
}

/// Whether nothing has this name.
pub(super) fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Removes a file, or a directory as layers and images have them: of files, and of the driver's empty directories.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    let diff = path.join("diff");
    // As often as something is mounted there; EINVAL ends it.
    while mount::unmount(&diff).is_ok() {}
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let _ = fs::remove_dir(entry.path().join("work"));
            fs::remove_dir(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(path)
}
