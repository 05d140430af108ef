//! The mount calls of `prepare`, each with its error.

use super::error::failed;
use crate::paths::RUN_DIR;
use dind_contract::Fault;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::path::Path;

/// What every pseudo file system is mounted with.
pub(super) const PLAIN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Nothing, in the place of a source, a type or options.
const NONE: Option<&str> = None;

/// Mounts a pseudo file system.
pub(super) fn filesystem(kind: &str, point: &Path, flags: MsFlags, options: &str) -> Result<(), Fault> {
    mount(Some(kind), point, Some(kind), flags, Some(options)).map_err(|error| {
        let command = format!("mount -t {kind} -o '{options}' {kind} {}", point.display());
        failed("mount", point, &error.into()).cause(command)
    })
}

/// Mounts a pseudo file system over one that may be the same: the kernel refuses that (EBUSY), but for a bind mount.
pub(super) fn filesystem_over(kind: &str, point: &Path, flags: MsFlags, options: &str) -> Result<(), Fault> {
    let aside = Path::new(RUN_DIR).join("mount");
    create_point(&aside)?;
    let over = mount(Some(kind), &aside, Some(kind), flags, Some(options)).and_then(|()| {
        let bound = mount(Some(&aside), point, NONE, MsFlags::MS_BIND, NONE);
        umount2(&aside, MntFlags::MNT_DETACH).and(bound)
    });
    let _ = fs::remove_dir(&aside);
    over.map_err(|error| failed("mount over", point, &error.into()))
}

/// Binds a directory to another place, or to its own.
pub(super) fn bind(from: &Path, point: &Path, flags: MsFlags) -> Result<(), Fault> {
    mount(Some(from), point, NONE, MsFlags::MS_BIND | flags, NONE)
        .map_err(|error| failed("bind", point, &error.into()))
}

/// Makes a read-only mount writable by a bind remount: a plain one is EBUSY where other containers hold the same hierarchy.
pub(super) fn remount_writable(point: &Path) -> Result<(), Fault> {
    remount(point, MsFlags::empty()).map_err(|error| failed("make writable", point, &error.into()))
}

/// Undoes [`remount_writable`]; returns whether it could.
pub(super) fn remount_read_only(point: &Path) -> bool {
    remount(point, MsFlags::MS_RDONLY).is_ok()
}

fn remount(point: &Path, flags: MsFlags) -> nix::Result<()> {
    mount(NONE, point, NONE, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | PLAIN | flags, NONE)
}

/// Makes every mount below a directory shared (mount_namespaces(7)).
pub(super) fn share(point: &Path) -> Result<(), Fault> {
    mount(NONE, point, NONE, MsFlags::MS_SHARED | MsFlags::MS_REC, NONE)
        .map_err(|error| failed("share the mounts below", point, &error.into()))
}

/// Takes one mount out of what [`share`] has shared.
pub(super) fn keep_private(point: &Path) -> Result<(), Fault> {
    mount(NONE, point, NONE, MsFlags::MS_PRIVATE, NONE)
        .map_err(|error| failed("make private", point, &error.into()))
}

/// Undoes a mount; returns whether it could.
pub(super) fn unmount(point: &Path) -> bool {
    umount2(point, MntFlags::MNT_DETACH).is_ok()
}

/// Creates a directory to mount on.
pub(super) fn create_point(path: &Path) -> Result<(), Fault> {
    fs::create_dir_all(path).map_err(|error| failed("create", path, &error))
}
