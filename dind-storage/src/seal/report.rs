//! `result` of `seal`.

use super::options::Form;
use crate::seed::manifest::{Loaded, SeedImage};
use crate::store::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A seed that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sealed {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is: a directory, or a file with that file system.
    pub form: Form,
    /// Digest of its manifest. Seals of the same images give the same.
    pub digest: Digest,
    /// Version of the seed's layout.
    pub format: u32,
    /// The storage driver that has made the layers.
    pub driver: String,
    /// The images, by id.
    pub images: Vec<SealedImage>,
    /// How many layers they have.
    pub layers: usize,
    /// Size of the layers' files in bytes, as the engine counts it.
    pub size_bytes: u64,
    /// What the seed takes up on disk, in bytes.
    pub disk_bytes: u64,
}

/// An image of a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedImage {
    /// Its id.
    pub id: Digest,
    /// Its names.
    pub names: Vec<String>,
}

impl Sealed {
    /// What is reported of a seed.
    #[must_use]
    pub fn new(path: PathBuf, form: Form, seed: Loaded, disk_bytes: u64) -> Self {
        let manifest = seed.manifest;
        let short = |image: SeedImage| SealedImage { id: image.id, names: image.names };
        Self {
            path,
            form,
            digest: seed.digest,
            format: manifest.format,
            driver: manifest.driver,
            images: manifest.images.into_iter().map(short).collect(),
            layers: manifest.layers.len(),
            size_bytes: manifest.size_bytes,
            disk_bytes,
        }
    }
}
