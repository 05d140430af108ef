//! A copy of a layer's files that no container can distinguish from the original.

use super::attributes;
use super::file::Contents;
use super::progress::Progress;
use super::trouble::Trouble;
use super::walk::{DIRECTORY, Entry, Visitor, walk};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};
use nix::unistd::{linkat, symlinkat};
use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Copies layers.
#[derive(Debug)]
pub(super) struct Copier<'a> {
    contents: Contents,
    progress: &'a mut Progress,
    buffer: Vec<u8>,
}

impl<'a> Copier<'a> {
    /// A copier that says how far it is.
    pub(super) fn new(progress: &'a mut Progress) -> Self {
        Self { contents: Contents::default(), progress, buffer: Vec::new() }
    }

    /// Copies what has this name in a directory, with everything in it, into another. `from` and `to` are their paths, for
    /// messages.
    pub(super) fn copy(
        &mut self,
        name: &CStr,
        (source, from): (&OwnedFd, &Path),
        (target, to): (&OwnedFd, &Path),
    ) -> Result<(), Trouble> {
        let mut copy = Copy { copier: self, root: target, to, open: Vec::new(), links: HashMap::new() };
        walk(source, name, from, &mut copy)
    }
}

/// A copy under way.
struct Copy<'a, 'b> {
    copier: &'a mut Copier<'b>,
    root: &'a OwnedFd,
    to: &'a Path,
    /// The directories from the root to where the walk is.
    open: Vec<OwnedFd>,
    /// The copies of files that have more names, by device and inode, and how many of these were not found yet.
    links: HashMap<(u64, u64), (PathBuf, u64)>,
}

impl Copy<'_, '_> {
    /// Makes another name of a file that was copied before. False: it was not, or can have no more names.
    fn link(&mut self, entry: &Entry<'_>, target: &Path) -> Result<bool, Trouble> {
        let key = (entry.stat.st_dev, entry.stat.st_ino);
        let Some((first, left)) = self.links.get_mut(&key) else { return Ok(false) };
        let parent = self.open.last().map_or(self.root.as_fd(), AsFd::as_fd);
        match linkat(self.root, first.as_path(), parent, entry.name, AtFlags::empty()) {
            Ok(()) => {}
            // The file system there allows fewer. What follows are names of the next copy.
            Err(Errno::EMLINK) => {
                self.links.remove(&key);
                return Ok(false);
            }
            Err(error) => return Err(Trouble::writing(target, error)),
        }
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.links.remove(&key);
        }
        Ok(true)
    }
}

impl Visitor for Copy<'_, '_> {
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), Trouble> {
        let target = self.to.join(entry.inside);
        let kind = entry.kind();
        let more_names = entry.stat.st_nlink > 1 && kind != SFlag::S_IFDIR;
        if more_names && self.link(entry, &target)? {
            return Ok(());
        }
        let parent = self.open.last().map_or(self.root.as_fd(), AsFd::as_fd);
        let unwritable = |error: Errno| Trouble::writing(&target, error);
        let private = Mode::S_IRUSR | Mode::S_IWUSR;
        match kind {
            SFlag::S_IFDIR => {
                mkdirat(parent, entry.name, private | Mode::S_IXUSR).map_err(unwritable)?;
                let directory = openat(parent, entry.name, DIRECTORY, Mode::empty()).map_err(unwritable)?;
                self.open.push(directory);
                // Its attributes follow when all is in it.
                return Ok(());
            }
            SFlag::S_IFREG => {
                let bytes = self.copier.contents.copy(&open(entry)?, entry, parent, &target)?;
                self.copier.progress.copied(bytes);
            }
            SFlag::S_IFLNK => {
                let leads_to =
                    readlinkat(entry.parent, entry.name).map_err(|error| entry.unreadable(error))?;
                symlinkat(leads_to.as_os_str(), parent, entry.name).map_err(unwritable)?;
            }
            kind => mknodat(parent, entry.name, kind, private, entry.stat.st_rdev).map_err(unwritable)?,
        }
        attributes::copy(entry, parent, &target, &mut self.copier.buffer)?;
        if more_names {
            #[allow(clippy::unnecessary_cast)] // 32 bits on other architectures
            let left = entry.stat.st_nlink as u64 - 1;
            self.links.insert((entry.stat.st_dev, entry.stat.st_ino), (entry.inside.to_owned(), left));
        }
        Ok(())
    }

    fn leave(&mut self, entry: &Entry<'_>) -> Result<(), Trouble> {
        self.open.pop();
        let parent: BorrowedFd<'_> = self.open.last().map_or(self.root.as_fd(), AsFd::as_fd);
        attributes::copy(entry, parent, &self.to.join(entry.inside), &mut self.copier.buffer)
    }
}

/// Opens a file for reading. A fifo in its place would not block.
fn open(entry: &Entry<'_>) -> Result<File, Trouble> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOATIME;
    match openat(entry.parent, entry.name, flags, Mode::empty()) {
        Ok(file) => Ok(File::from(file)),
        Err(error) => Err(entry.unreadable(error)),
    }
}
