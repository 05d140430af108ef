//! An image that exists: opened without surprises, locked, and looked at. Reads only.

use super::location::ImageLocation;
use super::lock;
use super::superblock::{self, Dirty, LABEL, Superblock};
use crate::{fault, safe_path};
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, SFlag, fstat};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// An image that can be mounted, as its file and its superblock describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// The file's size in bytes.
    pub size: u64,
    /// How much of it is allocated, in bytes.
    pub allocated: u64,
    /// The smallest block that its file system may ask a device for, in bytes; 0 where that is never too small.
    pub sector: u32,
    /// The file system in it.
    pub superblock: Superblock,
}

impl ImageInfo {
    /// Whether its space is not reserved. Holes where the inode tables are do not make a reserved image a sparse one.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        let Superblock { bytes, tables, slack, .. } = self.superblock;
        self.allocated.saturating_add(tables).saturating_add(slack) < bytes
    }

    /// Whether it has to be checked before it is mounted. A journal to replay does not count: the kernel does that, in
    /// milliseconds.
    #[must_use]
    pub fn needs_check(&self) -> bool {
        self.superblock.errors || self.superblock.dirty == Dirty::Check
    }

    /// Whether a grow was interrupted after the file and before the file system.
    #[must_use]
    pub fn is_half_grown(&self) -> bool {
        self.size.saturating_sub(self.superblock.bytes) > self.superblock.slack
    }
}

/// Opens an image; nothing where there is none. The file must be regular, root's, with one name, and writable by root alone:
/// whoever can write to it can attack the kernel's file system code.
///
/// # Errors
/// It is anything else, or cannot be opened.
pub fn open(location: &ImageLocation, access: OFlag) -> Result<Option<File>, Fault> {
    let path = &location.path;
    let place = match location.open_file(&location.name, OFlag::O_PATH) {
        Ok(place) => place,
        Err(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(unreadable(path, error.desc())),
    };
    // Before it is opened for real: opening a FIFO blocks, opening a device may act.
    let stat = fstat(&place).map_err(|error| unreadable(path, error.desc()))?;
    // One that was killed between link and unlink has left the temporary name, too.
    let is_alone =
        stat.st_nlink == 1 || stat.st_nlink == 2 && location.is_name_of(&location.temporary_name(), &place);
    if let Some(cause) = why_unsafe(&stat, is_alone) {
        let hint =
            "set DIND_STORAGE_IMAGE to another file, or make this one root's alone: chown 0:0, chmod 600";
        return Err(fault::IMAGE_UNSAFE.cannot("use", path.display(), cause).hint(hint));
    }
    let file = safe_path::reopen(&place, access).map_err(|error| unreadable(path, error.desc()))?;
    Ok(Some(File::from(file)))
}

/// Why a file cannot be an image, whatever is in it; `is_alone` says that it has no other name.
pub(super) fn why_unsafe(stat: &FileStat, is_alone: bool) -> Option<&'static str> {
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG if stat.st_uid != 0 => Some("it does not belong to root"),
        SFlag::S_IFREG if !is_alone => Some("it has more than one name"),
        SFlag::S_IFREG if stat.st_mode & 0o022 != 0 => Some("users other than root may write to it"),
        SFlag::S_IFREG => None,
        SFlag::S_IFLNK => Some("it is a symbolic link"),
        _ => Some("it is not a regular file"),
    }
}

/// Opens an image for reading and writing and takes its lock; nothing where there is none.
///
/// # Errors
/// Somebody else has it, or it cannot be used.
pub fn open_locked(location: &ImageLocation) -> Result<Option<(File, ImageInfo)>, Fault> {
    let Some(file) = open(location, OFlag::O_RDWR)? else { return Ok(None) };
    if !lock::take(&file, location, &location.name)? {
        // The other one has removed the file between our open and our lock.
        return Err(lock::in_use(&location.path));
    }
    let temporary = location.temporary_name();
    if location.is_name_of(&temporary, &file) {
        location.remove(&temporary).map_err(|error| unreadable(&location.path, error.desc()))?;
    }
    let info = inspect(&file, &location.path)?;
    Ok(Some((file, info)))
}

/// Looks at an image, and refuses one that is not whole or not ours.
///
/// # Errors
/// It has no file system of ours, or is shorter than its file system.
pub fn inspect(file: &File, path: &Path) -> Result<ImageInfo, Fault> {
    let info = inspect_any(file, path)?;
    let Superblock { filesystem, label, .. } = &info.superblock;
    if label != LABEL {
        let cause =
            format!("its {} is labelled `{}`, not `{LABEL}`", filesystem.name(), label.escape_default());
        return Err(foreign(path, &cause));
    }
    Ok(info)
}

/// The same for an image with any label.
///
/// # Errors
/// It has no file system that we know, or is shorter than its file system.
pub fn inspect_any(file: &File, path: &Path) -> Result<ImageInfo, Fault> {
    let meta = file.metadata().map_err(|error| unreadable(path, error))?;
    let mut head = vec![0; superblock::LENGTH.min(usize::try_from(meta.len()).unwrap_or(usize::MAX))];
    file.read_exact_at(&mut head, 0).map_err(|error| unreadable(path, error))?;
    let Some(superblock) = superblock::parse(&head) else {
        return Err(foreign(path, "it does not hold a valid ext4 or xfs file system"));
    };
    if superblock.bytes > meta.len() {
        let cause = format!(
            "it has {} bytes and is shorter than its file system of {}",
            meta.len(),
            superblock.bytes
        );
        let fault = fault::IMAGE_BROKEN.cannot("use", path.display(), cause);
        return Err(fault.hint("restore it from a copy, or move it away to start with an empty one"));
    }
    let sector = superblock::sector(&head, superblock.filesystem);
    Ok(ImageInfo { size: meta.len(), allocated: meta.blocks().saturating_mul(512), sector, superblock })
}

fn foreign(path: &Path, cause: &str) -> Fault {
    let hint = "set DIND_STORAGE_IMAGE to a name that is free; to use an ext4 image of another origin, run \
                `tune2fs -L dind-docker FILE`";
    fault::IMAGE_FOREIGN.cannot("use", path.display(), cause).hint(hint)
}

fn unreadable(path: &Path, cause: impl std::fmt::Display) -> Fault {
    fault::IMAGE_UNREADABLE
        .cannot("read", path.display(), cause)
        .hint("look at the kernel's log and at `ls -l`")
}
