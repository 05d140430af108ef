//! The file under the image's name, opened as an apply opens it: what an apply would refuse, a plan refuses too.

use crate::fault;
use crate::image::inspect::{self, ImageInfo};
use crate::image::location::ImageLocation;
use dind_contract::Fault;
use dind_system::Root;
use nix::fcntl::OFlag;
use std::fs::{self, File};
use std::path::Path;

/// What lies under the image's name; the fault is why it cannot be used.
#[must_use]
pub fn observe(root: &Root, path: &Path) -> Option<Result<ImageInfo, Fault>> {
    let opened = if root.is_host() { open(path) } else { open_captured(root, path) };
    opened.transpose().map(|opened| opened.and_then(|file| inspect::inspect(&file, path)))
}

fn open(path: &Path) -> Result<Option<File>, Fault> {
    match ImageLocation::find(path)? {
        Some(location) => inspect::open(&location, OFlag::O_RDONLY),
        None => Ok(None),
    }
}

/// The owner of a captured machine's files is whoever captured it.
fn open_captured(root: &Root, path: &Path) -> Result<Option<File>, Fault> {
    let real = root.path(path);
    if !fs::symlink_metadata(&real).is_ok_and(|file| file.is_file()) {
        return Ok(None);
    }
    File::open(&real).map(Some).map_err(|error| {
        let fault = fault::IMAGE_UNREADABLE.cannot("read", path.display(), error);
        fault.hint("look at the captured machine's files")
    })
}
