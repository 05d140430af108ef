//! How mounts are changed. Everything goes by descriptor or without following links.

use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::Path;

/// Mounts a device on a point.
///
/// # Errors
/// Those of mount(2).
pub fn device(device: &Path, point: &Path, filesystem: &str, options: Option<&str>) -> Result<(), Errno> {
    // Without nodev, nosuid and noexec: containers have device files, set-user-id programs, and programs.
    mount(Some(device), point, Some(filesystem), MsFlags::empty(), options)
}

/// Mounts a device with flags.
///
/// # Errors
/// Those of mount(2).
pub fn with_flags(device: &Path, point: &Path, filesystem: &str, flags: MsFlags) -> Result<(), Errno> {
    mount(Some(device), point, Some(filesystem), flags, None::<&str>)
}

/// Unmounts what is on top of a point, and never what a link in its place leads to.
///
/// # Errors
/// Those of umount2(2).
pub fn unmount(point: &Path) -> Result<(), Errno> {
    umount2(point, MntFlags::UMOUNT_NOFOLLOW)
}

/// Takes a mount out of its peer group: what is mounted below it appears nowhere else (mount_namespaces(7)).
///
/// # Errors
/// Those of mount(2).
pub fn make_private(point: &Path) -> Result<(), Errno> {
    mount(None::<&str>, point, None::<&str>, MsFlags::MS_PRIVATE, None::<&str>)
}

/// Makes a private mount shared again, in a peer group of its own.
///
/// # Errors
/// Those of mount(2).
pub fn make_shared(point: &Path) -> Result<(), Errno> {
    mount(None::<&str>, point, None::<&str>, MsFlags::MS_SHARED, None::<&str>)
}

/// A mount that cannot be made or changed.
#[must_use]
pub fn failed(verb: &str, path: &Path, cause: impl std::fmt::Display) -> Fault {
    let fault = fault::MOUNT_FAILED.cannot(verb, path.display(), cause);
    fault.hint(
        "look at the kernel's log; under AppArmor, run the container with --security-opt apparmor=unconfined",
    )
}
