//! Gives back the free blocks of a sparse image: FITRIM makes the file system discard them, and the loop device punches
//! holes for what is discarded.

use crate::safe_path;
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// A release has little time: what is not given back within this limit is left for the next one.
const LIMIT: Duration = Duration::from_secs(2);

/// How much is asked for at once, in bytes.
const PART: u64 = 32 << 30;

/// `struct fstrim_range` of linux/fs.h. The kernel answers in `length` with the bytes it discarded.
#[repr(C)]
#[derive(Debug)]
struct Range {
    start: u64,
    length: u64,
    shortest: u64,
}

/// Requests of linux/fs.h.
mod ioctl {
    #![allow(missing_docs)] // the macros take no comments
    nix::ioctl_readwrite!(fitrim, b'X', 121, super::Range);
}

/// Discards the free blocks of the file system that is mounted on a directory and is `size` bytes long.
///
/// # Errors
/// Those of FITRIM: EOPNOTSUPP where the file system below the image cannot punch holes, EROFS where it is read-only.
pub fn free_blocks(mounted_on: &Path, size: u64) -> Result<(), Errno> {
    let directory = safe_path::readable(&safe_path::open_directory(mounted_on)?)?;
    let deadline = Instant::now() + LIMIT;
    let mut start = 0;
    while start < size && Instant::now() < deadline {
        let mut range = Range { start, length: PART, shortest: 0 };
        // SAFETY: `range` is laid out as linux/fs.h says and outlives the call; the descriptor is open.
        #[allow(unsafe_code)]
        match unsafe { ioctl::fitrim(directory.as_raw_fd(), &raw mut range) } {
            Ok(_) => start += PART,
            Err(Errno::EINTR) => {}
            // The part begins behind the last block.
            Err(Errno::EINVAL) if start > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
