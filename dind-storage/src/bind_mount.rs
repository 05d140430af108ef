//! A directory that is mounted once more, read-only.
//!
//! The new calls (Linux 5.2, `mount_setattr` 5.12) make a mount that is nowhere, make it read-only, and only then put it in its
//! place. Where the kernel or a seccomp profile does not have them, mount(2) binds first and makes that read-only, which leaves a
//! moment in which it is writable.

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Mounts `from` on `to`, read-only, private, and otherwise with the flags of the mount that it lies in: a user namespace may
/// not take any of these away (mount_namespaces(7), "locked").
///
/// `nosuid`, `nodev` and `noexec` are not added, and do no harm where they are: an overlay asks the flags of its own mount, not
/// those of the mounts of its layers (`fs/overlayfs/super.c` clones these for itself).
///
/// # Errors
/// Those of the calls.
pub fn read_only(from: &Path, to: &Path) -> Result<(), Errno> {
    match by_new_calls(from, to) {
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => by_mount(from, to),
        done => done,
    }
}

/// A copy of the mount on a point, which is nowhere, to put it there again; nothing where the kernel cannot do that.
#[must_use]
pub fn copy(point: &Path) -> Option<OwnedFd> {
    clone(point).ok()
}

/// Puts a copy in its place.
///
/// # Errors
/// Those of move_mount.
pub fn put(tree: &OwnedFd, to: &Path) -> Result<(), Errno> {
    let (nothing, to) = (c"".as_ptr(), text(to)?);
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
    // SAFETY: both paths are C strings that outlive the call; the descriptor is open.
    #[allow(unsafe_code)]
    Errno::result(unsafe {
        libc::syscall(libc::SYS_move_mount, tree.as_raw_fd(), nothing, libc::AT_FDCWD, to.as_ptr(), flags)
    })?;
    Ok(())
}

fn clone(from: &Path) -> Result<OwnedFd, Errno> {
    let from = text(from)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_SYMLINK_NOFOLLOW as libc::c_uint;
    // SAFETY: the path is a C string that outlives the call.
    #[allow(unsafe_code)]
    let tree =
        Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, from.as_ptr(), flags) })?;
    let tree = i32::try_from(tree).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just given us this descriptor.
    #[allow(unsafe_code)]
    Ok(unsafe { OwnedFd::from_raw_fd(tree) })
}

fn by_new_calls(from: &Path, to: &Path) -> Result<(), Errno> {
    let tree = clone(from)?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the structure is laid out as linux/mount.h says and outlives the call; the descriptor is open.
    #[allow(unsafe_code)]
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })?;
    put(&tree, to)
}

fn by_mount(from: &Path, to: &Path) -> Result<(), Errno> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    let finish = || {
        mount(None::<&str>, to, None::<&str>, MsFlags::MS_PRIVATE, None::<&str>)?;
        // A remount takes away every flag that it does not name.
        let kept = flags_of(statvfs(to)?.flags());
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | kept;
        mount(None::<&str>, to, None::<&str>, flags, None::<&str>)
    };
    finish().inspect_err(|_| _ = super::mount::unmount(to))
}

fn flags_of(found: FsFlags) -> MsFlags {
    let pairs = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    pairs.into_iter().filter(|(of, _)| found.contains(*of)).map(|(_, flag)| flag).collect()
}

fn text(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
