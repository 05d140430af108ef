//! What the steps of an apply hand on to each other.

use super::seed_context::SeedContext;
use crate::facts::mounts::MountedImage;
use crate::image::inspect::{self, ImageInfo};
use crate::image::location::ImageLocation;
use crate::image::lock;
use crate::loopdev::Attached;
use crate::loopdev::node::Node;
use crate::plan::Plan;
use crate::plan::image_store::Question;
use crate::report::Storage;
use dind_contract::{Fault, Warning};
use dind_system::Root;
use std::fs::File;
use std::path::Path;

/// What the steps of an apply hand on to each other.
#[derive(Debug)]
pub struct Context {
    pub(super) root: Root,
    /// The image on the data root, if it was mounted before.
    pub(super) mounted: Option<MountedImage>,
    /// The image's file, from the first step that needs it. It stays open, and so locked, until the end.
    pub(super) image: Option<OpenImage>,
    /// The node that the image will be attached by, if it had to be looked for.
    pub(super) node: Option<Node>,
    /// The image's device. It frees itself with the last user, and until the mount that is this value.
    pub(super) attached: Option<Attached>,
    /// What the steps of seeds hand on.
    pub(super) seeds: SeedContext,
    /// What the engine's image store depends on.
    pub(super) question: Question,
    /// The document's result, completed by the steps.
    pub(super) storage: Storage,
    /// Warnings of the plan and of the steps.
    pub(super) warnings: Vec<Warning>,
}

/// An image's file, locked.
#[derive(Debug)]
pub(super) struct OpenImage {
    pub(super) location: ImageLocation,
    pub(super) file: File,
    /// As it was when it was opened.
    pub(super) info: ImageInfo,
}

impl Context {
    pub(super) fn new(root: &Root, mounted: Option<MountedImage>, seeds: SeedContext, plan: Plan) -> Self {
        let (root, Plan { storage, question, warnings, .. }) = (root.clone(), plan);
        Self { root, mounted, image: None, node: None, attached: None, seeds, question, storage, warnings }
    }

    /// The image that the plan has seen, or that a step has made.
    pub(super) fn image(&mut self, path: &Path) -> Result<&OpenImage, Fault> {
        let image = match self.image.take() {
            Some(image) => image,
            None => {
                let location = ImageLocation::open(path)?;
                // It existed when the facts were read: another process works on it.
                let (file, info) =
                    inspect::open_locked(&location)?.ok_or_else(|| lock::in_use(&location.path))?;
                OpenImage { location, file, info }
            }
        };
        Ok(self.image.insert(image))
    }
}
