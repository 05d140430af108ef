//! One process at a time has an image, or makes it.
//!
//! The lock belongs to the open file, not to the process (flock(2)). A loop device keeps the open file that it was
//! configured with, so the lock lives exactly as long as the attachment: it outlives the process that took it, and is gone
//! with the container, however that ends. For the same reason nix's `Flock` cannot be used: it unlocks when it is dropped.

use super::location::ImageLocation;
use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::FlockArg;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a lock may be held by a process that is just dying: a helper of a killed process, a device that frees itself.
const DYING: Duration = Duration::from_millis(250);

/// Takes the lock of an open file in the image's directory. False: the file no longer has this name, so whoever had the
/// lock has renamed or removed it, and the lock is worth nothing.
///
/// # Errors
/// Another process has it.
pub fn take(file: &File, location: &ImageLocation, name: &str) -> Result<bool, Fault> {
    lock(file, &location.path, FlockArg::LockExclusiveNonblock)?;
    Ok(location.is_name_of(name, file))
}

/// Takes the lock of a file that is only read, together with all others who only read it.
///
/// # Errors
/// Another process has it for writing.
pub fn share(file: &File, path: &Path) -> Result<(), Fault> {
    lock(file, path, FlockArg::LockSharedNonblock)
}

fn lock(file: &File, path: &Path, kind: FlockArg) -> Result<(), Fault> {
    let deadline = Instant::now() + DYING;
    loop {
        #[allow(deprecated)]
        match nix::fcntl::flock(file.as_raw_fd(), kind) {
            Ok(()) => return Ok(()),
            Err(Errno::EWOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EWOULDBLOCK) => return Err(in_use(path)),
            Err(error) => {
                let fault = fault::IMAGE_UNREADABLE.cannot("lock", path.display(), error.desc());
                return Err(fault.hint("put the image on a file system that supports flock(2)"));
            }
        }
    }
}

/// Another process has the image.
#[must_use]
pub fn in_use(path: &Path) -> Fault {
    let fault = fault::IMAGE_IN_USE.cannot("use", path.display(), "another container or process has it");
    fault.hint("stop the other one, or give each its own file: DIND_STORAGE_IMAGE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;

    #[test]
    fn a_lock_is_taken_once_and_counts_only_under_its_name() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().canonicalize().unwrap().join("image");
        std::fs::write(&path, "").unwrap();
        let location = ImageLocation::open(&path).unwrap();
        let open = || File::from(location.open_file("image", OFlag::O_RDWR).unwrap());
        let (first, second) = (open(), open());
        assert_eq!(take(&first, &location, "image"), Ok(true));
        assert_eq!(take(&second, &location, "image").unwrap_err().code, fault::IMAGE_IN_USE);
        std::fs::rename(&path, path.with_file_name("renamed")).unwrap();
        std::fs::write(&path, "another").unwrap();
        drop(first);
        assert_eq!(take(&second, &location, "image"), Ok(false));
    }
}
