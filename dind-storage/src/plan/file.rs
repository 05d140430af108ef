//! What happens to an image's file, and how it is described, whether it exists, is new, or is cloned.

use crate::fault;
use crate::image::create::NewImage;
use crate::image::superblock::Filesystem;
use crate::options::Options;
use crate::report::Image;
use dind_contract::{Fault, Warning};
use std::path::Path;

/// What happens to the file, and how it is described.
pub(super) struct FilePlan {
    pub(super) report: Image,
    pub(super) new: Option<NewImage>,
    /// What a new one reserves, in bytes.
    pub(super) needed: u64,
    pub(super) check: bool,
    pub(super) grow: Option<u64>,
    pub(super) warnings: Vec<Warning>,
}

/// The image, or the one that it is cloned from, is larger than it may be. Whoever calls adds the hint.
pub(super) fn size_shrinks(image: &Path, bytes: u64, requested: u64) -> Fault {
    let cause = format!("it has {bytes} bytes, {requested} were requested, and it is never shrunk");
    fault::SIZE_SHRINKS.cannot("shrink", image.display(), cause)
}

/// The image, or the one that it is cloned from, has another file system than requested.
pub(super) fn filesystem_kept(
    options: &Options,
    image: &Path,
    has: Filesystem,
    hint: &str,
) -> Option<Warning> {
    (options.filesystem != has && options.is_given("DIND_STORAGE_FS")).then(|| {
        Warning::new(
            fault::FILESYSTEM_KEPT,
            format!("{} has {} and keeps it", image.display(), has.name()),
            hint,
        )
    })
}

/// A new image whose space is not reserved.
pub(super) fn image_sparse(options: &Options, size: u64) -> Option<Warning> {
    options.sparse.then(|| {
        Warning::new(
            fault::IMAGE_SPARSE,
            format!("{} is sparse: {size} bytes are not allocated", options.image.display()),
            "leave DIND_STORAGE_SPARSE out: a sparse image turns read-only when the volume below it is full",
        )
    })
}

pub(super) fn report(options: &Options, size_bytes: u64, filesystem: &str, sparse: bool) -> Image {
    Image {
        path: options.image.clone(),
        size_bytes,
        filesystem: filesystem.to_owned(),
        sparse,
        device: None,
        direct_io: None,
        from: None,
        cloned: None,
    }
}
