//! The health of a mounted file system: whether it can be written, and the errors that it has met.

use super::mounts;
use crate::fault;
use crate::report::Health;
use dind_contract::{Fault, Warning};
use dind_system::Root;
use dind_system::proc::{Mount, mount_at};
use std::path::Path;

/// What the kernel knows of a mount. ext4 counts its errors until e2fsck has repaired them; others do not.
#[must_use]
pub fn of(root: &Root, mount: &Mount) -> Health {
    let device = mount.source.strip_prefix("/dev/").filter(|_| mount.kind == "ext4");
    let count = device.and_then(|name| root.read(format!("/sys/fs/ext4/{name}/errors_count")).ok());
    Health { read_only: !mount.is_writable(), errors: count.and_then(|text| text.trim().parse().ok()) }
}

/// The same for what is mounted at a point by now.
///
/// # Errors
/// The mounts cannot be read.
pub fn at(root: &Root, point: &Path) -> Result<Option<Health>, Fault> {
    Ok(mount_at(&mounts::read(root)?, point).map(|mount| of(root, mount)))
}

impl Health {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(self) -> bool {
        !self.read_only && self.errors.unwrap_or(0) == 0
    }

    /// What is wrong, to go on with after "the file system".
    #[must_use]
    pub fn complaint(self) -> String {
        let errors = match self.errors.unwrap_or(0) {
            0 => None,
            1 => Some("has met an error".to_owned()),
            count => Some(format!("has met {count} errors")),
        };
        let read_only = self.read_only.then(|| "is read-only".to_owned());
        errors.into_iter().chain(read_only).collect::<Vec<_>>().join(" and ")
    }

    /// The warning, where something is wrong.
    #[must_use]
    pub fn warning(self, data_root: &Path) -> Option<Warning> {
        (!self.is_good()).then(|| {
            Warning::new(
                fault::FILESYSTEM_HAS_ERRORS,
                format!("the file system of {} {}", data_root.display(), self.complaint()),
                "free space on the volume below it and look at the kernel's log; the next apply checks an image",
            )
        })
    }
}
