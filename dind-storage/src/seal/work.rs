//! The directory in which a seed is made. It has one name for all processes, beside the seed's, and whoever has its lock makes
//! the seed. The kernel frees the lock of a process that was killed, and the next one empties the directory and goes on.

use super::trouble::not_made;
use super::{attributes, options::Form};
use crate::image::location::ImageLocation;
use crate::image::lock;
use crate::{fault, safe_path};
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, renameat, renameat2};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, linkat, unlinkat};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The name of what is made, in the directory.
pub(super) const MADE: &str = "seed";

/// The directory, locked and empty. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Work<'a> {
    location: &'a ImageLocation,
    directory: File,
}

impl<'a> Work<'a> {
    /// Makes the directory, or takes over what a killed process has left.
    ///
    /// # Errors
    /// Another process is making this seed, or has just made it.
    pub(super) fn create(location: &'a ImageLocation) -> Result<Self, Fault> {
        let name = location.temporary_name();
        let failed = |error: Errno| not_made(&location.path, error.desc());
        let directory = loop {
            match mkdirat(&location.dir, name.as_str(), Mode::S_IRWXU) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(failed(error)),
            }
            if let Some(directory) = open(location, &name)? {
                break directory;
            }
        };
        let work = Self { location, directory };
        if location.stat(&location.name).is_some() {
            return Err(exists(&location.path));
        }
        // Whatever the directory above gives to those in it: group, access control lists.
        fchown(&work.directory, Some(Uid::from_raw(0)), Some(Gid::from_raw(0))).map_err(failed)?;
        fchmod(&work.directory, Mode::S_IRWXU).map_err(failed)?;
        let own = safe_path::by_descriptor(work.directory.as_fd());
        attributes::without_default_acl(&own.join(".")).map_err(|error| not_made(&location.path, error))?;
        for entry in fs::read_dir(&own).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .map_err(|error| not_made(&location.path, error))?;
        }
        Ok(work)
    }

    /// Something in the directory, by descriptor.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        safe_path::by_descriptor(self.directory.as_fd()).join(name)
    }

    /// The same by the path that people know: for messages, and for programs.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.location.path.with_file_name(self.location.temporary_name()).join(name)
    }

    /// Gives what was made its final name, on disk, and never in place of something.
    ///
    /// # Errors
    /// There is something of that name by now, or the disk refuses.
    pub(super) fn publish(self, form: Form) -> Result<(), Fault> {
        let ImageLocation { dir, name, path } = self.location;
        let failed = |error: Errno| not_made(path, error.desc());
        rustix::fs::syncfs(&self.directory).map_err(|error| not_made(path, std::io::Error::from(error)))?;
        match renameat2(&self.directory, MADE, dir, name.as_str(), RenameFlags::RENAME_NOREPLACE) {
            // NFS and others do not know the flag.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => self.publish_without_flag(form),
            renamed => renamed,
        }
        .map_err(|error| match error {
            Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR => exists(path),
            error => failed(error),
        })?;
        self.location.sync().map_err(|error| {
            let _ = renameat(dir, name.as_str(), &self.directory, MADE);
            not_made(path, error)
        })
    }

    /// A link never replaces anything, and a directory replaces nothing but an empty one.
    fn publish_without_flag(&self, form: Form) -> Result<(), Errno> {
        let ImageLocation { dir, name, .. } = self.location;
        if form == Form::Dir {
            return renameat(&self.directory, MADE, dir, name.as_str());
        }
        linkat(&self.directory, MADE, dir, name.as_str(), AtFlags::empty())?;
        unlinkat(&self.directory, MADE, UnlinkatFlags::NoRemoveDir)
    }
}

impl Drop for Work<'_> {
    /// While it is still locked.
    fn drop(&mut self) {
        let name = self.location.temporary_name();
        let _ = fs::remove_dir_all(safe_path::by_descriptor(self.location.dir.as_fd()).join(name));
    }
}

/// Removes what a killed process has left beside a seed that exists.
///
/// # Errors
/// Another process is at work there.
pub(super) fn remove_stale(location: &ImageLocation) -> Result<(), Fault> {
    if let Some(directory) =
        location.stat(&location.temporary_name()).map(|_| open(location, &location.temporary_name()))
    {
        drop(directory?.map(|directory| Work { location, directory }));
    }
    Ok(())
}

/// Opens and locks the directory. Nothing: it was removed meanwhile, or lost its name.
fn open(location: &ImageLocation, name: &str) -> Result<Option<File>, Fault> {
    let in_the_way = |cause: &str| {
        let path = location.path.with_file_name(name);
        let fault = fault::SEED_NOT_MADE.cannot(
            "make",
            location.path.display(),
            format_args!("{} {cause}", path.display()),
        );
        fault.hint(format!("find out who put it there, then `rm -r {}`", path.display()))
    };
    let directory = match location.open_file(name, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
        Ok(directory) => File::from(directory),
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ENOTDIR | Errno::ELOOP) => return Err(in_the_way("is not a directory")),
        Err(error) => return Err(not_made(&location.path, error.desc())),
    };
    let stat = fstat(&directory).map_err(|error| not_made(&location.path, error.desc()))?;
    if stat.st_uid != 0 {
        return Err(in_the_way("belongs to another user"));
    }
    match lock::take(&directory, location, name) {
        Ok(true) => Ok(Some(directory)),
        Ok(false) => Ok(None),
        Err(fault) if fault.code == fault::IMAGE_IN_USE => {
            let fault =
                fault::SEED_IN_USE.cannot("make", location.path.display(), "another process is making it");
            Err(fault.hint("wait for it, or name another seed"))
        }
        Err(error) => Err(not_made(&location.path, error)),
    }
}

/// There is something under the seed's name.
pub(super) fn exists(path: &Path) -> Fault {
    let fault = fault::SEED_EXISTS.cannot("make", path.display(), "there is something of that name");
    fault.hint("name another seed, or remove that one when no node uses it any more")
}
