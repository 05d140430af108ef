//! Options that have no effect here: whoever sets one should know.

use crate::facts::Facts;
use crate::fault;
use crate::options::Options;
use crate::report::Backing;
use dind_contract::Warning;

/// The warning, where there are such options.
#[must_use]
pub fn warning(facts: &Facts, options: &Options, backing: Backing) -> Option<Warning> {
    let existing = facts.image.as_ref().and_then(|image| image.as_ref().ok());
    let given = |name: &str| {
        options.of_image.iter().filter(|text| text.starts_with(name)).cloned().collect::<Vec<_>>()
    };
    let (why, hint, ignored) = match (backing, existing) {
        (Backing::Native, _) => (
            "the data root is used as it is, with the space of its file system",
            "set DIND_STORAGE_BACKING=loop for an image, which limits disk usage; or leave it out",
            options.of_image.clone(),
        ),
        (Backing::Loop, Some(image)) if image.is_sparse() != options.sparse => (
            "the image exists, and its space stays as it is",
            "leave it out, or move the image away to start with an empty one",
            given("DIND_STORAGE_SPARSE="),
        ),
        (Backing::Loop, Some(_)) if facts.mounted.is_none() => (
            "the image exists, and is not made anew",
            "leave it out, or move the image away to start with a clone",
            given("DIND_STORAGE_IMAGE_FROM="),
        ),
        _ => return None,
    };
    let verb = if ignored.len() == 1 { "has" } else { "have" };
    (!ignored.is_empty()).then(|| {
        Warning::new(fault::OPTION_IGNORED, format!("{} {verb} no effect: {why}", ignored.join(", ")), hint)
    })
}
