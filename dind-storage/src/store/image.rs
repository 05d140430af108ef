//! An image, as its configuration describes it.

use super::Store;
use super::digest::{Digest, chain_ids};
use serde::Deserialize;
use std::fs;
use std::io;

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Digest of its configuration.
    pub id: Digest,
    /// The chain ids of its layers, the lowest first. An image `FROM scratch` that has no files has none.
    pub layers: Vec<Digest>,
}

/// What is needed of the configuration (OCI image specification, config.md).
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

impl Image {
    /// Reads an image, and checks that its configuration is the one that its id stands for.
    ///
    /// # Errors
    /// It cannot be read, is another's, or is not a configuration.
    pub fn read(store: &Store, id: &Digest) -> io::Result<Self> {
        let content = fs::read(store.image_content(id))?;
        if Digest::of(&content) != *id {
            return Err(io::Error::other("its content has another digest"));
        }
        let config: Config = serde_json::from_slice(&content)?;
        Ok(Self { id: id.clone(), layers: chain_ids(&config.rootfs.diff_ids.unwrap_or_default()) })
    }
}
