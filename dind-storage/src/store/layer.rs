//! A layer, as the layer database and the driver describe it.

use super::Store;
use super::digest::Digest;
use std::fs;
use std::io;
use std::path::Path;

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the layer and all beneath it.
    pub chain_id: Digest,
    /// Digest of the layer's uncompressed archive.
    pub diff_id: Digest,
    /// The layer beneath, where there is one.
    pub parent: Option<Digest>,
    /// The driver's name for it. Another data root calls the same layer something else.
    pub cache_id: String,
    /// The driver's short name for it.
    pub link: String,
    /// Size of its files in bytes, as the engine has counted it.
    pub size: u64,
}

impl Layer {
    /// Reads a layer.
    ///
    /// # Errors
    /// A file is missing, or it is not what it should be.
    pub fn read(store: &Store, chain_id: &Digest) -> io::Result<Self> {
        let directory = store.layer(chain_id);
        let cache_id = read(&directory.join("cache-id"))?;
        // Each becomes part of a path.
        is_name(&cache_id).then_some(()).ok_or_else(|| io::Error::other("cache-id is not a name"))?;
        let link = read(&store.cache(&cache_id).join("link"))?;
        is_name(&link).then_some(()).ok_or_else(|| io::Error::other("link is not a name"))?;
        let parent = match read(&directory.join("parent")) {
            Ok(text) => Some(digest(&text, "parent")?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            chain_id: chain_id.clone(),
            diff_id: digest(&read(&directory.join("diff"))?, "diff")?,
            parent,
            cache_id,
            link,
            size: read(&directory.join("size"))?
                .parse()
                .map_err(|_| io::Error::other("size is not a number"))?,
        })
    }
}

fn digest(text: &str, name: &str) -> io::Result<Digest> {
    Digest::parse(text).ok_or_else(|| io::Error::other(format!("{name} is not an id")))
}

fn read(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

/// Whether a text can be the name of a directory entry and nothing else.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
