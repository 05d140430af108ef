//! A larger size for an image that is there. Nothing is ever made smaller.
//!
//! The file grows first, then the file system in it, before it is attached: that takes no capability, whereas ext4
//! grows a mounted file system for CAP_SYS_RESOURCE only. When it is cut off between the two, the file system is
//! shorter than its file, which is harmless, and the next start finishes the work.

use crate::image::{self, Found};
use crate::{fault, make};
use dind_contract::Fault;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);

/// Grows the file, and the file system where that is ext4.
///
/// # Errors
/// There is not enough space, or a helper fails. The file keeps its new size.
pub fn file(folder: &OwnedFd, file: &File, path: &Path, found: &Found, size: u64) -> Result<(), Fault> {
    if size > found.size {
        make::reserve(folder, file, path, size, found.allocated < found.superblock.bytes)?;
    }
    if found.superblock.filesystem == "xfs" {
        return Ok(());
    }
    // resize2fs takes only what was checked since its last mount; the check replays the journal too.
    image::check(file, path, true)?;
    let helper = image::helper("resize2fs", "e2fsprogs")?.arg_fd(file.as_fd());
    finished(helper.run(LIMIT), path)?;
    file.sync_all().map_err(|error| failed(path, error))
}

/// XFS grows while it is mounted, and only then.
///
/// # Errors
/// `xfs_growfs` fails.
pub fn xfs(mounted_on: &Path) -> Result<(), Fault> {
    let helper = image::helper("xfs_growfs", "xfsprogs")?.arg("-d").arg(mounted_on);
    finished(helper.run(LIMIT), mounted_on)
}

fn finished(done: std::io::Result<dind_contract::helper::Finished>, path: &Path) -> Result<(), Fault> {
    let done = done.map_err(|error| failed(path, error))?;
    if done.status.success() { Ok(()) } else { Err(failed(path, done.status).cause(done.stderr)) }
}

fn failed(path: &Path, cause: impl std::fmt::Display) -> Fault {
    let fault = fault::IMAGE_NOT_GROWN.cannot("grow", path.display(), cause);
    fault.hint("leave VAR_LIB_DOCKER_SIZE out to use the image as it is")
}
