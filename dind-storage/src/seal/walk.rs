//! A walk through the files of a layer: name by name below an open directory, no link followed, in as much memory as the tree
//! is deep.

use super::trouble::Trouble;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How a directory is opened to be listed.
pub(super) const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Something in a layer.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The directory that it lies in.
    pub(super) parent: BorrowedFd<'a>,
    /// Its name there.
    pub(super) name: &'a CStr,
    /// Its path below the directory that the walk began in: for hard links.
    pub(super) inside: &'a Path,
    /// Its path, for messages.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) stat: FileStat,
}

impl Entry<'_> {
    /// What kind of file it is.
    pub(super) fn kind(&self) -> SFlag {
        SFlag::from_bits_truncate(self.stat.st_mode & SFlag::S_IFMT.bits())
    }

    /// How calls reach it that take no descriptor and do not follow it.
    pub(super) fn by_path(&self) -> PathBuf {
        by_path(self.parent, self.name)
    }

    /// It cannot be read.
    pub(super) fn unreadable(&self, error: impl Into<std::io::Error>) -> Trouble {
        Trouble::reading(&self.path, error)
    }
}

/// A name in an open directory, as a path.
pub(super) fn by_path(directory: BorrowedFd<'_>, name: &CStr) -> PathBuf {
    let directory = format!("/proc/self/fd/{}", directory.as_raw_fd());
    Path::new(&directory).join(OsStr::from_bytes(name.to_bytes()))
}

/// What is done on the way.
pub(super) trait Visitor {
    /// Something was found; of a directory, before what is in it.
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), Trouble>;
    /// All that is in a directory was found.
    fn leave(&mut self, entry: &Entry<'_>) -> Result<(), Trouble>;
}

/// Walks through what has this name in a directory.
pub(super) fn walk(
    parent: &OwnedFd,
    name: &CStr,
    at: &Path,
    visitor: &mut impl Visitor,
) -> Result<(), Trouble> {
    let mut walk = Walk { at, device: None, visitor };
    walk.visit(parent.as_fd(), name, &mut PathBuf::new())
}

struct Walk<'a, V> {
    at: &'a Path,
    device: Option<u64>,
    visitor: &'a mut V,
}

impl<V: Visitor> Walk<'_, V> {
    fn visit(&mut self, parent: BorrowedFd<'_>, name: &CStr, inside: &mut PathBuf) -> Result<(), Trouble> {
        inside.push(OsStr::from_bytes(name.to_bytes()));
        let path = self.at.join(&inside);
        let unreadable = |error: Errno| Trouble::reading(&path, error);
        let stat = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(unreadable)?;
        if *self.device.get_or_insert(stat.st_dev) != stat.st_dev {
            return Err(Trouble::reading(
                &path,
                std::io::Error::other("another file system is mounted there"),
            ));
        }
        let is_directory = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
        let entry = Entry { parent, name, inside: &inside.clone(), path: path.clone(), stat };
        self.visitor.enter(&entry)?;
        if is_directory {
            let directory = openat(parent, name, DIRECTORY, Mode::empty()).map_err(unreadable)?;
            // One to list it, one to open what is in it.
            let listed = directory.try_clone().map_err(|error| Trouble::reading(&path, error))?;
            let mut list = Dir::from_fd(listed).map_err(unreadable)?;
            for found in list.iter() {
                let found = found.map_err(unreadable)?;
                if !matches!(found.file_name().to_bytes(), b"." | b"..") {
                    self.visit(directory.as_fd(), found.file_name(), inside)?;
                }
            }
            self.visitor.leave(&entry)?;
        }
        inside.pop();
        Ok(())
    }
}
