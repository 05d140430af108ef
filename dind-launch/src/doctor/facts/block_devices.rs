//! The machine's block devices that can be opened from here. In a user namespace nobody needs one: no file system on it can be
//! mounted, but its bytes can be read and written.

use dind_system::Root;
use nix::libc;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Such devices of a captured machine, one to a line.
const CAPTURED: &str = "/.dind/block-devices";

/// Deeper than any name of udev's.
const DEPTH: usize = 4;

/// The paths of those below `/dev` that can be opened, sorted.
pub(super) fn openable(root: &Root) -> Vec<String> {
    if !root.is_host() {
        return root.read(CAPTURED).unwrap_or_default().lines().map(str::to_owned).collect();
    }
    let mut found = Vec::new();
    let device = fs::metadata("/dev").map_or(0, |dev| dev.dev());
    collect(Path::new("/dev"), device, DEPTH, &mut found);
    found.sort();
    found
}

/// Symbolic links lead to nodes that are found by themselves. `dev` is the file system of `/dev`: what else is mounted below it,
/// such as `/dev/shm`, is not searched.
fn collect(directory: &Path, dev: u64, depth: usize, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let (kind, path) = (metadata.file_type(), entry.path());
        if kind.is_dir() && metadata.dev() == dev && depth > 0 {
            collect(&path, dev, depth - 1, found);
        } else if kind.is_block_device() {
            // O_NONBLOCK: a drive without a medium is neither waited for nor closed.
            let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
            found.extend(opened.is_ok().then(|| path.display().to_string()));
        }
    }
}
