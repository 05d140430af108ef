//! Whether a seed fits, before anything of it is written.

use super::options::Form;
use super::scan::Found;
use super::select::Selection;
use super::work::Work;
use crate::fault;
use crate::image::location::ImageLocation;
use crate::store::Store;
use dind_contract::Fault;
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs};
use nix::sys::statvfs::fstatvfs;
use std::fs::File;

/// What the metadata of a layer take up at most, apart from the one file that grows with its number of files.
const METADATA: u64 = 64 << 10;

/// Checks that there is room, and that files there can be what the layers' files are.
///
/// # Errors
/// [`fault::SPACE_SHORT`] with both numbers, or [`fault::SEED_NOT_MADE`].
pub(super) fn check(
    work: &Work<'_>,
    location: &ImageLocation,
    store: &Store,
    selection: &Selection,
    found: &Found,
    form: Form,
    hides_files: bool,
) -> Result<(), Fault> {
    let path = location.path.display();
    let on_overlay = fstatfs(&location.dir).is_ok_and(|stat| stat.filesystem_type() == OVERLAYFS_SUPER_MAGIC);
    if form == Form::Dir && hides_files && on_overlay {
        let cause = "a layer hides files of those beneath, and an overlay cannot hold the marks of another";
        let fault = fault::SEED_NOT_MADE.cannot("make", path, cause);
        return Err(fault.hint("name a seed on a volume, or give --format erofs"));
    }
    let Ok(stat) = fstatvfs(&location.dir) else { return Ok(()) };
    let metadata = METADATA.saturating_mul(selection.layers.len() as u64);
    let (bytes, inodes) = match form {
        Form::Dir if shares_blocks(work, store, selection) => (metadata, found.inodes),
        Form::Dir => (found.allocated_bytes.saturating_add(metadata), found.inodes),
        // Holes are filled; an inode has 64 bytes (Documentation/filesystems/erofs.rst).
        Form::Erofs => (found.bytes.saturating_add(found.inodes.saturating_mul(64)), 1),
        // How much it saves is known when it is done.
        Form::Squashfs => (0, 1),
    };
    let available = stat.blocks_available().saturating_mul(stat.fragment_size());
    let hint = "make room there, or name a seed on another volume";
    if available < bytes {
        let cause = format!("it needs {bytes} bytes, {available} bytes are available");
        return Err(fault::SPACE_SHORT.cannot("make", path, cause).hint(hint));
    }
    // Where there is no table of inodes, there are 0.
    if stat.files() > 0 && stat.files_available() < inodes {
        let cause = format!("it needs {inodes} inodes, {} are available", stat.files_available());
        return Err(fault::SPACE_SHORT.cannot("make", path, cause).hint(hint));
    }
    Ok(())
}

/// Whether a copy there shares the original's blocks, seen with an image's configuration.
fn shares_blocks(work: &Work<'_>, store: &Store, selection: &Selection) -> bool {
    let path = work.place("probe");
    let shared = || {
        let id = selection.images.keys().next()?;
        let source = File::open(store.image_content(id)).ok()?;
        rustix::fs::ioctl_ficlone(&File::create_new(&path).ok()?, &source).ok()
    };
    let shared = shared().is_some();
    let _ = std::fs::remove_file(&path);
    shared
}
