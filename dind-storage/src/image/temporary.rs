//! The file that becomes an image. It has one name for all processes, and whoever has its lock makes the image.
//!
//! Of many that start at once exactly one wins. All open the same file, and the kernel gives its lock to one of them. The
//! name is only ever taken from that file by the owner of its lock: renamed to the image's at the end, or removed where the
//! owner fails. So a lock counts only as long as the file still has the name; a process that finds it has not starts again.
//! The kernel frees the lock of a process that was killed, and the next one empties the file that was left and goes on.

use super::location::ImageLocation;
use super::{inspect, lock, space};
use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, renameat2};
use nix::sys::stat::fstat;
use nix::unistd::linkat;
use std::fs::File;

/// A locked, empty file that is removed unless it gets its final name.
#[derive(Debug)]
pub struct Temporary<'a> {
    // Dropped first: the name is removed while the file is still locked.
    name: Name<'a>,
    /// The file.
    pub file: File,
}

impl<'a> Temporary<'a> {
    /// Makes the file, or takes over what a killed process has left.
    ///
    /// # Errors
    /// Another process is making this image, or has just made it.
    pub fn create(location: &'a ImageLocation) -> Result<Self, Fault> {
        let name = location.temporary_name();
        let failed = |error: Errno| space::not_made(&location.path, error.desc());
        let file = loop {
            let (file, created) = open_or_create(location, &name).map_err(failed)?;
            let locked = lock::take(&file, location, &name).inspect_err(|fault| {
                // Files there cannot be locked at all, so no other process has this one.
                if created && fault.code != fault::IMAGE_IN_USE {
                    let _ = location.remove(&name);
                }
            })?;
            if locked {
                break file;
            }
        };
        if location.stat(&location.name).is_some() {
            // An image came after we had looked for one. Where it is this very file, its own lock protects it.
            if !location.is_name_of(&location.name, &file) {
                let _ = location.remove(&name);
            }
            return Err(lock::in_use(&location.path));
        }
        let stat = fstat(&file).map_err(failed)?;
        if let Some(cause) = inspect::why_unsafe(&stat, stat.st_nlink == 1) {
            let path = location.path.with_file_name(&name);
            let fault = fault::IMAGE_UNSAFE.cannot("use", path.display(), cause);
            return Err(fault.hint(format!("find out who put it there, then `rm {}`", path.display())));
        }
        let temporary = Self { name: Name { location, name, removed_on_drop: true }, file };
        temporary.file.set_len(0).map_err(|error| space::not_made(&location.path, error))?;
        Ok(temporary)
    }

    /// Gives the file its final name, on disk, and never in place of another.
    ///
    /// # Errors
    /// There is a file of that name by now, or the directory cannot be written.
    pub fn publish(self) -> Result<File, Fault> {
        let Self { name, file } = self;
        name.publish()?;
        Ok(file)
    }
}

/// The file, and whether it was created here.
fn open_or_create(location: &ImageLocation, name: &str) -> Result<(File, bool), Errno> {
    loop {
        match location.open_file(name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL) {
            Err(Errno::EEXIST) => {}
            created => return Ok((File::from(created?), true)),
        }
        match location.open_file(name, OFlag::O_RDWR) {
            // Its owner was faster to rename or remove it.
            Err(Errno::ENOENT) => {}
            opened => return Ok((File::from(opened?), false)),
        }
    }
}

/// Removes the file that a killed process has left, with all the space of an image. False: there is none.
///
/// # Errors
/// Another process is making the image right now, or the directory cannot be written.
pub fn remove_stale(location: &ImageLocation) -> Result<bool, Fault> {
    let name = location.temporary_name();
    let Ok(file) = location.open_file(&name, OFlag::O_RDWR | OFlag::O_NONBLOCK) else { return Ok(false) };
    if !lock::take(&File::from(file), location, &name)? {
        return Ok(false);
    }
    location.remove(&name).map_err(|error| space::not_made(&location.path, error.desc()))?;
    Ok(true)
}

/// The temporary name.
#[derive(Debug)]
struct Name<'a> {
    location: &'a ImageLocation,
    name: String,
    removed_on_drop: bool,
}

impl Name<'_> {
    fn publish(mut self) -> Result<(), Fault> {
        let ImageLocation { dir, name, path } = self.location;
        let temporary = self.name.as_str();
        match renameat2(dir, temporary, dir, name.as_str(), RenameFlags::RENAME_NOREPLACE) {
            // NFS and others do not know the flag. A link never replaces anything either.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                linkat(dir, temporary, dir, name.as_str(), AtFlags::empty()).and_then(|()| {
                    self.location.remove(temporary).inspect_err(|_| _ = self.location.remove(name))
                })
            }
            renamed => renamed,
        }
        .map_err(|error| match error {
            Errno::EEXIST => lock::in_use(path),
            error => space::not_made(path, error.desc()),
        })?;
        self.removed_on_drop = false;
        self.location.sync().map_err(|error| {
            let _ = self.location.remove(name);
            space::not_made(path, error)
        })
    }
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        if self.removed_on_drop {
            let _ = self.location.remove(&self.name);
        }
    }
}
