//! A new image that begins as another one: by reflink in milliseconds where the file system can share blocks, else as a copy of
//! the blocks that are in use. Made whole or not at all, as [`super::create`] does it.

use super::create::NewImage;
use super::location::ImageLocation;
use super::temporary::Temporary;
use super::{golden, identity, space};
use crate::fault;
use crate::report::Cloned;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Requests of linux/fs.h.
mod request {
    #![allow(missing_docs)] // the macros take no comments
    nix::ioctl_write_int!(ficlone, 0x94, 9);
}

/// A clone.
#[derive(Debug)]
pub struct Clone {
    /// The image, locked.
    pub file: File,
    /// How it was made.
    pub cloned: Cloned,
    /// How much of it lies in blocks that it shares, in bytes. They are not reserved: a write needs new ones.
    pub shared: u64,
}

/// Clones an image, and gives it an identity of its own.
///
/// # Errors
/// The golden image cannot be used, there is not enough space, or another process is making this image. Nothing is left.
pub fn create(location: &ImageLocation, new: &NewImage, from: &Path) -> Result<Clone, Fault> {
    let (source, info) = golden::open_shared(from)?;
    let temporary = Temporary::create(location)?;
    let file = &temporary.file;
    let (cloned, shared) = if reflink(&source, file).map_err(|error| failed(location, &error))? {
        let shared = file.metadata().map_err(|error| failed(location, &error))?.blocks().saturating_mul(512);
        space::reserve(location, file, info.size, new.sparse).map_err(space::advised_for_clone)?;
        (Cloned::Reflink, shared)
    } else {
        copy(location, &source, file, info.size, new.sparse)?;
        (Cloned::Copy, 0)
    };
    identity::renew(file, location, from, info.superblock.filesystem)?;
    if !new.sparse {
        space::reserve(location, file, info.size, false)?;
    }
    file.sync_all().map_err(|error| failed(location, &error))?;
    Ok(Clone { file: temporary.publish()?, cloned, shared })
}

/// Has the file system share all blocks. False: it cannot, or not between these two.
fn reflink(source: &File, file: &File) -> io::Result<bool> {
    let number = nix::sys::ioctl::ioctl_param_type::try_from(source.as_raw_fd()).map_err(io::Error::other)?;
    loop {
        // SAFETY: FICLONE takes the number of an open descriptor; both are open.
        #[allow(unsafe_code)]
        match unsafe { request::ficlone(file.as_raw_fd(), number) } {
            Ok(_) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(error @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EIO)) => return Err(error.into()),
            // EOPNOTSUPP, EXDEV, EINVAL and ENOTTY say that it does not work here (ioctl_ficlone(2)); so does EPERM of a filter. A
            // copy will meet whatever else is wrong.
            Err(_) => return Ok(false),
        }
    }
}

/// Copies what is not a hole. Space that was reserved and never written counts as a hole (lseek(2)).
fn copy(location: &ImageLocation, source: &File, file: &File, size: u64, sparse: bool) -> Result<(), Fault> {
    let failed = |error: io::Error| failed(location, &error);
    let parts = parts(source, size).map_err(failed)?;
    if sparse {
        let needed = parts.iter().map(|(start, end)| end - start).sum();
        let available = space::available(location);
        if available.is_some_and(|available| available < needed) {
            return Err(space::advised_for_clone(space::short(&location.path, needed, available)));
        }
    }
    space::reserve(location, file, size, sparse).map_err(space::advised_for_clone)?;
    for (start, end) in parts {
        let (mut from, mut to) = (source, file);
        from.seek(SeekFrom::Start(start)).map_err(failed)?;
        to.seek(SeekFrom::Start(start)).map_err(failed)?;
        // By copy_file_range(2) where the kernel can.
        let copied = io::copy(&mut from.take(end - start), &mut to).map_err(failed)?;
        if copied != end - start {
            return Err(failed(ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(())
}

/// How much of a file is no hole, in bytes; all of it where that cannot be said.
#[must_use]
pub fn data(file: &File, size: u64) -> u64 {
    parts(file, size).map_or(size, |parts| parts.iter().map(|(start, end)| end - start).sum())
}

/// The parts of a file that hold data, as offsets; where the file system does not say, all of it.
fn parts(file: &File, size: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut parts = Vec::new();
    let mut position = 0;
    while position < size {
        let from = i64::try_from(position).map_err(io::Error::other)?;
        let start = match lseek(file, from, Whence::SeekData) {
            // There are only holes up to the end.
            Err(Errno::ENXIO) => break,
            Err(Errno::EINVAL) => return Ok(vec![(0, size)]),
            found => found?,
        };
        let end = lseek(file, start, Whence::SeekHole)?;
        let offset = |position: i64| u64::try_from(position).map_err(io::Error::other);
        parts.push((offset(start)?, offset(end)?.min(size)));
        position = offset(end)?;
    }
    Ok(parts)
}

fn failed(location: &ImageLocation, error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let available = space::available(location);
            let left = available.map_or_else(|| "no space".to_owned(), |bytes| format!("{bytes} bytes"));
            let cause = format!("the space ran out while it was copied; {left} are left");
            space::advised_for_clone(fault::SPACE_SHORT.cannot("make", location.path.display(), cause))
        }
        _ => space::not_made(&location.path, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn holes_and_space_that_was_only_reserved_are_not_copied() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(parts(&file, 0).unwrap(), []);
        file.set_len(3 << 20).unwrap();
        assert_eq!(parts(&file, 3 << 20).unwrap(), []);
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();
        file.write_all_at(&[2; 4096], (3 << 20) - 4096).unwrap();
        let found = parts(&file, 3 << 20).unwrap();
        assert!(
            matches!(found.as_slice(), [(first, _), (_, last)] if *first <= 1 << 20 && *last == 3 << 20),
            "{found:?}"
        );
        let bytes: u64 = found.iter().map(|(start, end)| end - start).sum();
        assert!(bytes < 1 << 20, "{found:?}");
    }
}
