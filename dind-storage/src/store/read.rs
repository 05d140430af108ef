//! All images and layers of a store.

use super::Store;
use super::digest::Digest;
use super::image::Image;
use super::layer::Layer;
use super::repositories::Repositories;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// All images and layers of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The images, by id.
    pub images: BTreeMap<Digest, Image>,
    /// The layers, by chain id.
    pub layers: BTreeMap<Digest, Layer>,
    /// The images' names.
    pub repositories: Repositories,
}

/// What cannot be read of a store.
#[derive(Debug)]
pub struct Unreadable {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl Contents {
    /// Reads a store. One that no engine has used yet is empty.
    ///
    /// # Errors
    /// Something in it is not what the engine makes.
    pub fn read(store: &Store) -> Result<Self, Unreadable> {
        let mut contents = Self { repositories: repositories(store)?, ..Self::default() };
        for id in image_ids(store)? {
            let image = Image::read(store, &id)
                .map_err(|error| Unreadable { path: store.image_content(&id), error })?;
            contents.images.insert(id, image);
        }
        for chain_id in ids(&store.images().join("layerdb/sha256"))? {
            let layer = Layer::read(store, &chain_id)
                .map_err(|error| Unreadable { path: store.layer(&chain_id), error })?;
            contents.layers.insert(chain_id, layer);
        }
        Ok(contents)
    }

    /// A layer with all beneath it, the lowest first; nothing where one of them is missing.
    #[must_use]
    pub fn chain(&self, top: &Digest) -> Option<Vec<&Layer>> {
        let mut chain = Vec::new();
        let mut next = Some(top);
        while let Some(chain_id) = next {
            let layer = self.layers.get(chain_id).filter(|_| chain.len() <= self.layers.len())?;
            chain.push(layer);
            next = layer.parent.as_ref();
        }
        chain.reverse();
        Some(chain)
    }
}

/// The ids of all images in a store.
///
/// # Errors
/// The directory cannot be read.
pub fn image_ids(store: &Store) -> Result<Vec<Digest>, Unreadable> {
    ids(&store.images().join("imagedb/content/sha256"))
}

/// The names in a store.
///
/// # Errors
/// The file is not the engine's.
pub fn repositories(store: &Store) -> Result<Repositories, Unreadable> {
    let path = store.repositories();
    match fs::read(&path) {
        Ok(text) => Repositories::parse(&text).map_err(|error| Unreadable { path, error }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Repositories::default()),
        Err(error) => Err(Unreadable { path, error }),
    }
}

/// The entries of a directory that are ids. What the engine is about to remove has another suffix.
fn ids(directory: &Path) -> Result<Vec<Digest>, Unreadable> {
    let unreadable = |error| Unreadable { path: directory.to_owned(), error };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut ids = Vec::new();
    for entry in entries {
        ids.extend(entry.map_err(unreadable)?.file_name().to_str().and_then(Digest::from_hex));
    }
    Ok(ids)
}
