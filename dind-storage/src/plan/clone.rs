//! What a new image is that is cloned from a golden one.

use super::file::{FilePlan, filesystem_kept, image_sparse, report, size_shrinks};
use crate::facts::Facts;
use crate::facts::golden_image::GoldenImage;
use crate::fault;
use crate::image::create::NewImage;
use crate::image::space;
use crate::options::Options;
use dind_contract::{Fault, Warning};
use std::path::Path;

/// Decides.
///
/// # Errors
/// It cannot be cloned, is larger than it may be, or does not fit.
pub(super) fn decide(
    golden: Result<GoldenImage, Fault>,
    from: &Path,
    facts: &Facts,
    options: &Options,
) -> Result<FilePlan, Fault> {
    let GoldenImage { info, data, may_share } = golden?;
    if let Some(fault) = &facts.no_tool {
        return Err(fault.clone());
    }
    let size = match options.size {
        Some(size) if size < info.size => {
            let hint = "leave VAR_LIB_DOCKER_SIZE out to have the size of the golden image, or name a smaller golden image";
            return Err(size_shrinks(from, info.size, size).hint(hint));
        }
        Some(size) => size,
        None => info.size,
    };
    // What is shared takes no space yet; what is only copied, or reserved, does.
    let needed = match (may_share, options.sparse) {
        (true, true) => 0,
        (true, false) => size.saturating_sub(info.allocated),
        (false, true) => data,
        (false, false) => size,
    };
    let available = facts.image_directory.space.map(|space| space.available_bytes);
    if available.is_some_and(|available| available < needed) {
        return Err(space::advised_for_clone(space::short(&options.image, needed, available)));
    }
    let filesystem = info.superblock.filesystem;
    let mut warnings: Vec<_> =
        filesystem_kept(options, from, filesystem, "leave DIND_STORAGE_FS out, or name another golden image")
            .into_iter()
            .collect();
    warnings.extend(image_sparse(options, size));
    let mut report = report(options, size, filesystem.name(), options.sparse);
    report.from = Some(from.to_owned());
    let new = NewImage { size: info.size, filesystem, sparse: options.sparse, from: Some(from.to_owned()) };
    let grow = (size > info.size || info.is_half_grown()).then_some(size);
    Ok(FilePlan { report, new: Some(new), needed, check: false, grow, warnings })
}

/// A clone shares blocks with the golden image.
#[must_use]
pub fn shares_blocks(image: &Path, from: &Path, bytes: u64) -> Warning {
    Warning::new(
        fault::IMAGE_SHARES_BLOCKS,
        format!(
            "{} shares {bytes} bytes with {}: a write to them needs new space, which is not reserved",
            image.display(),
            from.display()
        ),
        "keep that much free on the volume, or put the golden image on another one, from which it is copied",
    )
}
