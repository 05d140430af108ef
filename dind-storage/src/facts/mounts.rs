//! The mounts of this process, and our image among them.

use crate::{fault, loopdev};
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{self, Mount, mount_at};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Our image, mounted on the data root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedImage {
    /// The loop device's number.
    pub number: i32,
    /// The mount.
    pub mount: Mount,
    /// What the device is attached to, where it could be queried.
    pub backing: Option<loopdev::Backing>,
}

impl MountedImage {
    /// `/dev/loopN`.
    #[must_use]
    pub fn device(&self) -> PathBuf {
        PathBuf::from(format!("/dev/loop{}", self.number))
    }
}

/// The mounts of this process' namespace.
///
/// # Errors
/// They cannot be read.
pub fn read(root: &Root) -> Result<Vec<Mount>, Fault> {
    proc::mounts(root).map_err(|error| {
        let fault = fault::FACTS_UNREADABLE.cannot("read", "/proc/self/mountinfo", error);
        fault.hint("mount /proc in the container")
    })
}

/// The image on the data root, known by device and inode of the file behind the loop device: the kernel shows its path as
/// it was in another mount namespace. The path decides only where the device cannot be queried or the file has no name.
#[must_use]
pub fn image_on(root: &Root, mounts: &[Mount], data_root: &Path, image: &Path) -> Option<MountedImage> {
    let mount = mount_at(mounts, data_root).filter(|mount| mount.device.0 == loopdev::MAJOR)?;
    let number = mount.source.strip_prefix("/dev/loop")?.parse().ok()?;
    let backing = if root.is_host() { loopdev::backing(number).ok().flatten() } else { None };
    let ours = match (backing, fs::symlink_metadata(root.path(image))) {
        (Some(backing), Ok(file)) => (backing.device, backing.inode) == (file.dev(), file.ino()),
        _ => {
            let behind = root.read(loopdev::backing_file(number)).ok()?;
            let behind = behind.trim_end_matches('\n');
            Path::new(behind.strip_suffix(" (deleted)").unwrap_or(behind)) == image
        }
    };
    ours.then(|| MountedImage { number, mount: mount.clone(), backing })
}
