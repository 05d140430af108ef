//! What a file is beside its content: owner, mode, times, extended attributes.

use super::trouble::Trouble;
use super::walk::{Entry, by_path};
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lremovexattr, lsetxattr};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// The most that the kernel gives of names, and of a value (XATTR_LIST_MAX, XATTR_SIZE_MAX; linux/limits.h).
const LIMIT: usize = 64 << 10;

/// A label of SELinux is that of a place, not of a file: a seed gets that of its own.
const LEFT_OUT: &[u8] = b"security.selinux";

/// The names of a file's extended attributes that are copied; none where its file system has no attributes.
pub(super) fn names(path: &Path, buffer: &mut Vec<u8>) -> io::Result<Vec<CString>> {
    buffer.resize(LIMIT, 0);
    let length = match llistxattr(path, buffer.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let names =
        buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty() && *name != LEFT_OUT);
    names.map(|name| CString::new(name).map_err(io::Error::from)).collect()
}

/// Gives a copy what the original has. The owner comes first, because it takes set-user-id and capabilities away, and the times
/// come last, because everything else changes them.
pub(super) fn copy(
    entry: &Entry<'_>,
    to: BorrowedFd<'_>,
    target: &Path,
    buffer: &mut Vec<u8>,
) -> Result<(), Trouble> {
    let stat = &entry.stat;
    let unwritable = |error: nix::errno::Errno| Trouble::writing(target, error);
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fchownat(to, entry.name, Some(owner), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW).map_err(unwritable)?;
    if entry.kind() != SFlag::S_IFLNK {
        // The copy is no link, and nobody else has its directory.
        let mode = Mode::from_bits_truncate(stat.st_mode);
        fchmodat(to, entry.name, mode, FchmodatFlags::FollowSymlink).map_err(unwritable)?;
    }
    let (from, copy) = (entry.by_path(), by_path(to, entry.name));
    for name in names(&from, buffer).map_err(|error| entry.unreadable(error))? {
        buffer.resize(LIMIT, 0);
        let length =
            lgetxattr(&from, &name, buffer.as_mut_slice()).map_err(|error| entry.unreadable(error))?;
        lsetxattr(&copy, &name, &buffer[..length], XattrFlags::empty())
            .map_err(|error| Trouble::writing(target, error))?;
    }
    let (accessed, modified) =
        (TimeSpec::new(stat.st_atime, stat.st_atime_nsec), TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec));
    utimensat(to, entry.name, &accessed, &modified, UtimensatFlags::NoFollowSymlink).map_err(unwritable)
}

/// Takes away what a directory gives to everything that is made in it (acl(5), "DEFAULT ACL").
pub(super) fn without_default_acl(path: &Path) -> io::Result<()> {
    match lremovexattr(path, c"system.posix_acl_default") {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
