//! `result` of the document.

use super::disk::Usage;
use schemars::JsonSchema;
use serde::Serialize;

/// What was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReclaimResult {
    /// The share above which something is taken, in percent.
    pub above_percent: u8,
    /// The disk before.
    pub before: Usage,
    /// The disk after.
    pub after: Usage,
    /// What was taken, in order.
    pub taken: Vec<Taken>,
    /// Whether nothing is left to take, and the disk is still fuller than it should be.
    pub exhausted: bool,
}

/// Something that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Taken {
    /// What it was.
    pub kind: Kind,
    /// An image's names, or its id where it had none; how many records of the build cache.
    pub name: String,
    /// The id of an image.
    pub id: Option<String>,
    /// By how much less of the disk was in use, in bytes; others may have written meanwhile.
    pub freed_bytes: u64,
}

/// What can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An image that no container is made of.
    Image,
    /// Records of BuildKit's cache that no build uses.
    BuildCache,
}

impl Taken {
    /// The op of its step.
    #[must_use]
    pub fn op(&self) -> &'static str {
        match self.kind {
            Kind::Image => "remove-image",
            Kind::BuildCache => "prune-build-cache",
        }
    }
}
