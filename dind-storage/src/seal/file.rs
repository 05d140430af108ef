//! The content of a file: shared with the original where the file system can (ioctl_ficlone(2)), copied otherwise, with its
//! holes.

use super::trouble::Trouble;
use super::walk::Entry;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// How files are copied here.
#[derive(Debug)]
pub(super) struct Contents {
    /// Whether the file systems of both can share blocks, as far as that was tried.
    may_share: bool,
}

impl Default for Contents {
    fn default() -> Self {
        Self { may_share: true }
    }
}

impl Contents {
    /// Makes a file with the content of another; returns its length.
    pub(super) fn copy(
        &mut self,
        source: &File,
        entry: &Entry<'_>,
        to: BorrowedFd<'_>,
        target: &Path,
    ) -> Result<u64, Trouble> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = openat(to, entry.name, flags, mode).map_err(|error| Trouble::writing(target, error))?;
        let mut file = File::from(file);
        let length = u64::try_from(entry.stat.st_size).unwrap_or(0);
        if length == 0 || self.share(source, &file) {
            return Ok(length);
        }
        let allocated = u64::try_from(entry.stat.st_blocks).unwrap_or(0).saturating_mul(512);
        if allocated >= length {
            copy_part(source, &mut file, length).map_err(|side| side.trouble(entry, target))?;
        } else {
            copy_parts(source, &mut file, length).map_err(|side| side.trouble(entry, target))?;
        }
        Ok(length)
    }

    /// Whether the copy now has the original's blocks. Where one file cannot, no other is tried.
    fn share(&mut self, source: &File, file: &File) -> bool {
        self.may_share = self.may_share && rustix::fs::ioctl_ficlone(file.as_fd(), source.as_fd()).is_ok();
        self.may_share
    }
}

/// An error, and the side that it came from as far as that is known.
enum Side {
    Source(io::Error),
    Target(io::Error),
}

impl Side {
    fn trouble(self, entry: &Entry<'_>, target: &Path) -> Trouble {
        match self {
            Self::Source(error) => entry.unreadable(error),
            Self::Target(error) => Trouble::writing(target, error),
        }
    }
}

/// Copies what is between the holes.
fn copy_parts(mut source: &File, file: &mut File, length: u64) -> Result<(), Side> {
    let mut at = 0;
    while at < length {
        let begin = match lseek(source, signed(at), Whence::SeekData) {
            // Nothing but a hole is left.
            Err(Errno::ENXIO) => break,
            begin => unsigned(begin.map_err(|error| Side::Source(error.into()))?),
        };
        let end =
            lseek(source, signed(begin), Whence::SeekHole).map_err(|error| Side::Source(error.into()))?;
        let end = unsigned(end).min(length);
        source.seek(SeekFrom::Start(begin)).map_err(Side::Source)?;
        file.seek(SeekFrom::Start(begin)).map_err(Side::Target)?;
        copy_part(source, file, end.saturating_sub(begin))?;
        at = end.max(begin + 1);
    }
    file.set_len(length).map_err(Side::Target)
}

/// Copies so many bytes from where both files are. The standard library lets the kernel do it (copy_file_range(2), sendfile(2)), as
/// far as it can.
fn copy_part(source: &File, file: &mut File, length: u64) -> Result<(), Side> {
    match io::copy(&mut source.take(length), file) {
        Ok(copied) if copied == length => Ok(()),
        Ok(_) => Err(Side::Source(io::Error::other("it has become shorter"))),
        // The call does not say which side it is about. A full file system is the target's.
        Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Err(Side::Source(error)),
        Err(error) => Err(Side::Target(error)),
    }
}

fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
