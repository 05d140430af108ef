//! The golden image, looked at as an apply looks at it: what an apply would refuse, a plan refuses too.

use super::directory::Directory;
use crate::image::inspect::ImageInfo;
use crate::image::{clone, golden};
use crate::loopdev;
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{Mount, mount_of};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// File systems whose files can share blocks. Whether this one does, is seen when it is tried: an older XFS was made without.
const SHARING: [&str; 2] = ["xfs", "btrfs"];

/// A golden image that can be cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldenImage {
    /// Its file.
    pub info: ImageInfo,
    /// How much a copy without a reservation takes, in bytes.
    pub data: u64,
    /// Whether it lies where a clone may share its blocks.
    pub may_share: bool,
}

/// Looks at it.
///
/// # Errors
/// It cannot be cloned.
pub fn observe(root: &Root, mounts: &[Mount], path: &Path, image: &Directory) -> Result<GoldenImage, Fault> {
    let file = if root.is_host() { golden::open(path)? } else { open_captured(root, path)? };
    if is_attached(root, path, &file) {
        return Err(golden::in_use(path));
    }
    let info = golden::look(&file, path)?;
    let data = clone::data(&file, info.size);
    let mount = mount_of(mounts, path);
    let may_share = SHARING.contains(&image.mount.kind.as_str())
        && mount.is_some_and(|mount| mount.device == image.mount.device);
    Ok(GoldenImage { info, data, may_share })
}

/// Whether a loop device can write to it. One of ours keeps a lock, one of others does not. Those that only read it change nothing.
fn is_attached(root: &Root, path: &Path, file: &File) -> bool {
    let numbers = root.list("/sys/block").unwrap_or_default();
    let numbers = numbers.iter().filter_map(|name| name.strip_prefix("loop")?.parse::<i32>().ok());
    numbers.filter(|number| !is_read_only(root, *number)).any(|number| {
        let Ok(behind) = root.read(loopdev::backing_file(number)) else { return false };
        let behind = Path::new(behind.trim_end_matches('\n'));
        // The kernel shows the path as it is in another mount namespace; the name rules most of the others out.
        if behind.file_name() != path.file_name() {
            return false;
        }
        let backing = if root.is_host() { loopdev::backing(number).ok().flatten() } else { None };
        match (backing, file.metadata()) {
            (Some(backing), Ok(meta)) => (backing.device, backing.inode) == (meta.dev(), meta.ino()),
            _ => behind == path,
        }
    })
}

fn is_read_only(root: &Root, number: i32) -> bool {
    root.read(format!("/sys/block/loop{number}/ro")).is_ok_and(|text| text.trim() == "1")
}

/// The owner of a captured machine's files is whoever captured it.
fn open_captured(root: &Root, path: &Path) -> Result<File, Fault> {
    let real = root.path(path);
    let is_file = fs::symlink_metadata(&real).is_ok_and(|file| file.is_file());
    File::open(&real).ok().filter(|_| is_file).ok_or_else(|| golden::missing(path))
}
