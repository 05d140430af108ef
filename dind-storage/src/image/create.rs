//! An image is made whole or not at all.
//!
//! mkfs works on a temporary file in the same directory; only a complete file system, on disk, gets the final name. Of 311
//! places at which mkfs.ext4 can be killed, 292 leave a file that cannot be mounted: under the final name, a node with such
//! a file would never start again.

use super::location::ImageLocation;
use super::superblock::{Filesystem, LABEL};
use super::temporary::Temporary;
use super::{programs, space};
use dind_contract::Fault;
use dind_system::Helper;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MKFS_LIMIT: Duration = Duration::from_secs(300);

/// How far an ext4 can grow without moving anything: to 16 times its size, but by no more than this, in bytes. mkfs keeps
/// room for the descriptors of 1,024 times the size, and writes a block for each 8 GiB of that: half of its work.
const ROOM_TO_GROW: u64 = 512 << 30;

/// What a new image is made as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImage {
    /// Its size in bytes.
    pub size: u64,
    /// Its file system.
    pub filesystem: Filesystem,
    /// Whether its space is not reserved.
    pub sparse: bool,
    /// The golden image that it is cloned from; nothing for an empty one.
    pub from: Option<PathBuf>,
}

/// Makes an image, and returns it locked.
///
/// # Errors
/// There is not enough space, mkfs fails, or another process is making it. Nothing is left.
pub fn create(location: &ImageLocation, new: &NewImage) -> Result<File, Fault> {
    let temporary = Temporary::create(location)?;
    space::reserve(location, &temporary.file, new.size, new.sparse)?;
    format(&temporary.file, &location.path, new)?;
    if !new.sparse {
        // mkfs is asked not to discard. Should it do so all the same, the holes are filled here.
        space::reserve(location, &temporary.file, new.size, false)?;
    }
    temporary.file.sync_all().map_err(|error| space::not_made(&location.path, error))?;
    temporary.publish()
}

/// The program that makes a file system.
///
/// # Errors
/// It is not installed.
pub fn mkfs(filesystem: Filesystem) -> Result<Helper, Fault> {
    match filesystem {
        Filesystem::Ext4 => programs::find("mkfs.ext4", "e2fsprogs"),
        Filesystem::Xfs => programs::find("mkfs.xfs", programs::XFSPROGS),
    }
}

fn format(file: &File, path: &Path, new: &NewImage) -> Result<(), Fault> {
    let helper = mkfs(new.filesystem)?;
    let helper = match new.filesystem {
        Filesystem::Ext4 => {
            // nodiscard keeps the reservation (else 131,072 blocks become 8,960). In a new file the tables are zeroes
            // already. mkfs takes blocks of 1 KiB below 512 MiB; those of 4 KiB allow direct I/O on any disk.
            let most = new.size.saturating_mul(16).min(new.size.saturating_add(ROOM_TO_GROW)) / 4096;
            let extended = format!("nodiscard,lazy_itable_init=1,lazy_journal_init=1,resize={most}");
            helper.args(["-q", "-F", "-b", "4096", "-m", "0", "-L", LABEL, "-E", &extended])
        }
        // Sectors of 4 KiB allow direct I/O on any disk, and for a file that shares blocks.
        Filesystem::Xfs => helper.args(["-q", "-K", "-s", "size=4096", "-L", LABEL]),
    };
    let program = helper.program().display().to_string();
    let done = helper
        .arg_fd(file.as_fd())
        .run(MKFS_LIMIT)
        .map_err(|error| space::not_made(path, format!("{program}: {error}")))?;
    if done.status.success() {
        return Ok(());
    }
    Err(space::not_made(path, format!("{program} ended with {}", done.status)).cause(done.stderr))
}
