//! Where an image lies: its directory, open, and its name in it. Everything that is done to the image goes by this
//! descriptor, so it is the same directory from the first check to the last change.

use crate::{fault, safe_path};
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An image's place, whether or not there is an image.
#[derive(Debug)]
pub struct ImageLocation {
    /// The directory, as a place only (`O_PATH`).
    pub dir: OwnedFd,
    /// The image's name in it.
    pub name: String,
    /// Both as a path, for messages.
    pub path: PathBuf,
}

impl ImageLocation {
    /// Opens the directory of an image.
    ///
    /// # Errors
    /// It does not exist, or the path leads through a link.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let (directory, name) = split(path)?;
        let dir = safe_path::open_directory(directory).map_err(|error| safe_path::unusable(path, error))?;
        Ok(Self { dir, name: name.to_owned(), path: path.to_owned() })
    }

    /// The same; nothing where the directory does not exist, or where this caller may not look.
    ///
    /// # Errors
    /// The path leads through a link.
    pub fn find(path: &Path) -> Result<Option<Self>, Fault> {
        let (directory, name) = split(path)?;
        match safe_path::open_directory(directory) {
            Ok(dir) => Ok(Some(Self { dir, name: name.to_owned(), path: path.to_owned() })),
            Err(error @ (Errno::ELOOP | Errno::ENOTDIR)) => Err(safe_path::unusable(directory, error)),
            Err(_) => Ok(None),
        }
    }

    /// The name of the file that becomes the image: the same for all processes, so that they meet at its lock.
    #[must_use]
    pub fn temporary_name(&self) -> String {
        format!(".{}.tmp", self.name)
    }

    /// Opens a file in the directory without following a link.
    ///
    /// # Errors
    /// Those of openat(2).
    pub fn open_file(&self, name: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        let mode = Mode::from_bits_truncate(0o600);
        openat(&self.dir, name, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, mode)
    }

    /// What has this name in the directory.
    #[must_use]
    pub fn stat(&self, name: &str) -> Option<FileStat> {
        fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()
    }

    /// Whether this name is one of the open file's.
    #[must_use]
    pub fn is_name_of(&self, name: &str, file: impl AsFd) -> bool {
        let found = self.stat(name).zip(fstat(file).ok());
        found.is_some_and(|(named, open)| (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
    }

    /// Removes a name from the directory.
    ///
    /// # Errors
    /// Those of unlinkat(2).
    pub fn remove(&self, name: &str) -> Result<(), Errno> {
        unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir)
    }

    /// Writes the directory to disk, and with it the names in it.
    ///
    /// # Errors
    /// Those of open(2) and fsync(2).
    pub fn sync(&self) -> std::io::Result<()> {
        safe_path::readable(&self.dir).map_err(std::io::Error::from).and_then(|dir: File| dir.sync_all())
    }
}

/// The directory and the name of an image.
fn split(path: &Path) -> Result<(&Path, &str), Fault> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent().zip(name).ok_or_else(|| {
        let fault = fault::PATH_INVALID.cannot("use", path.display(), "it does not name a file");
        fault.hint("set DIND_STORAGE_IMAGE to a file, such as /data/docker")
    })
}
