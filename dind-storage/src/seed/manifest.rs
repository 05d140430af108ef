//! `seed.json`: what is in a seed.

use crate::fault;
use crate::store::digest::{Digest, chain_id};
use crate::store::layer::is_name;
use crate::store::repositories::is_reference;
use dind_contract::Fault;
use nix::fcntl::OFlag;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The manifest's name in a seed.
pub const NAME: &str = "seed.json";
/// The format that this version makes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// The one driver whose layers are shared.
pub const DRIVER: &str = "overlay2";

/// What is in a seed. The directories beside it have the layout of a data root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Version of the seed's layout.
    pub format: u32,
    /// The storage driver that has made the layers.
    pub driver: String,
    /// The images, by id.
    pub images: Vec<SeedImage>,
    /// Their layers: each after its parent.
    pub layers: Vec<SeedLayer>,
    /// Size of the layers' files, in bytes.
    pub size_bytes: u64,
    /// Digest of everything in the seed apart from the layers' files and this manifest: see [`super::metadata`].
    pub digest: Digest,
}

/// An image of a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeedImage {
    /// Its id.
    pub id: Digest,
    /// Its names, as `debian:12` or `debian@sha256:…`.
    pub names: Vec<String>,
    /// The chain ids of its layers, the lowest first.
    pub layers: Vec<Digest>,
}

/// A layer of a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeedLayer {
    /// Digest of the layer and all beneath it.
    pub chain_id: Digest,
    /// Digest of its uncompressed archive.
    pub diff_id: Digest,
    /// The layer beneath, where there is one.
    pub parent: Option<Digest>,
    /// The driver's name for it.
    pub cache_id: String,
    /// The driver's short name for it.
    pub link: String,
    /// Size of its files, in bytes.
    pub size_bytes: u64,
    /// Whether it hides files of the layers beneath, by devices 0:0 or attributes of overlayfs. Copied into another overlay, as
    /// by `docker build`, these are lost.
    pub hides_files: bool,
}

/// A manifest that was read, and its digest, which another version does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What is in the seed.
    pub manifest: Manifest,
    /// Digest of the file. It is another one as soon as anything in the seed is: the manifest has the digest of the rest.
    pub digest: Digest,
}

impl Manifest {
    /// Reads the manifest of a seed, and checks what it says. Who may write to it is not asked here, nor whether the rest of
    /// the seed is what it says: see [`super::metadata::digest`].
    ///
    /// # Errors
    /// [`fault::SEED_MISSING`]: there is no such directory. [`fault::SEED_INVALID`]: it is no seed, or one of a newer format.
    /// [`fault::SEED_UNSUITABLE`]: another driver has made it.
    pub fn read(seed: &Path) -> Result<Loaded, Fault> {
        let text = text_of(seed)?;
        let manifest = Self::parse(&text).map_err(|reason| reason.fault(seed))?;
        Ok(Loaded { manifest, digest: Digest::of(&text) })
    }

    /// Parses a manifest, and checks it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, Unusable> {
        /// What every format has.
        #[derive(Deserialize)]
        struct Header {
            format: u32,
            driver: String,
        }
        let header: Header = serde_json::from_slice(text).map_err(Unusable::invalid)?;
        if !(1..=FORMAT).contains(&header.format) {
            let cause = format!("it has format {}; this version reads up to {FORMAT}", header.format);
            return Err(Unusable::Format(cause));
        }
        if header.driver != DRIVER {
            return Err(Unusable::Driver(header.driver));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(Unusable::invalid)?;
        manifest.check().map_err(Unusable::Invalid)?;
        Ok(manifest)
    }

    /// The file's content: the same for the same seed, whenever it is made.
    #[must_use]
    pub fn text(&self) -> String {
        // Structs of texts and numbers cannot fail to serialize.
        format!("{}\n", serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// The layer with this chain id.
    #[must_use]
    pub fn layer(&self, chain_id: &Digest) -> Option<&SeedLayer> {
        self.layers.iter().find(|layer| layer.chain_id == *chain_id)
    }

    /// Checks that the parts fit together: every layer's chain id follows from its parent's and its own diff id, comes after
    /// its parent and is needed; every image's layers are there; no name, cache id or short link is there twice, and each is safe as
    /// a name of a file.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self) -> Result<(), String> {
        let mut known: HashMap<&Digest, Option<&Digest>> = HashMap::new();
        let mut files = HashSet::new();
        for layer in &self.layers {
            let id = &layer.chain_id;
            if let Some(parent) = layer.parent.as_ref().filter(|parent| !known.contains_key(parent)) {
                return Err(format!("layer {id} comes without its parent {parent} before it"));
            }
            if chain_id(layer.parent.as_ref(), &layer.diff_id) != *id {
                return Err(format!("layer {id} does not follow from its parent and its diff id"));
            }
            if known.insert(id, layer.parent.as_ref()).is_some() {
                return Err(format!("layer {id} is listed twice"));
            }
            for name in [&layer.cache_id, &layer.link] {
                // The directory of the short links is called `l`.
                if !is_name(name) || name == "l" || !files.insert(name) {
                    return Err(format!("layer {id} has the name `{name}`, which is unusable or another's"));
                }
            }
        }
        let mut needed = HashSet::new();
        let mut names = HashSet::new();
        let mut images = HashSet::new();
        for image in &self.images {
            let id = &image.id;
            if !images.insert(id) {
                return Err(format!("image {id} is listed twice"));
            }
            let mut parent = None;
            for layer in &image.layers {
                if known.get(layer) != Some(&parent) {
                    return Err(format!(
                        "image {id} has a layer {layer} that is missing or has another parent"
                    ));
                }
                needed.insert(layer);
                parent = Some(layer);
            }
            for name in &image.names {
                if !is_reference(name) || !names.insert(name) {
                    return Err(format!("image {id} has the name `{name}`, which is unusable or another's"));
                }
            }
        }
        match self.layers.iter().find(|layer| !needed.contains(&layer.chain_id)) {
            Some(layer) => Err(format!("no image has the layer {}", layer.chain_id)),
            None => Ok(()),
        }
    }
}

/// Why a manifest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is no manifest, or contradicts itself.
    Invalid(String),
    /// Its format is not known.
    Format(String),
    /// Another driver has made its layers.
    Driver(String),
}

impl Unusable {
    fn invalid(error: serde_json::Error) -> Self {
        Self::Invalid(error.to_string())
    }

    /// The error for the seed that it was found in.
    #[must_use]
    pub fn fault(self, seed: &Path) -> Fault {
        match self {
            Self::Invalid(cause) => invalid(seed, format_args!("{NAME}: {cause}")),
            Self::Format(cause) => fault::SEED_INVALID
                .cannot("use", seed.display(), cause)
                .hint("use a newer dind, or seal the images again with this one: dind-storage seal"),
            Self::Driver(driver) => fault::SEED_UNSUITABLE
                .cannot("use", seed.display(), format_args!("its layers are those of the driver {driver}"))
                .hint("seal a data root of the overlay2 driver: dind-storage seal"),
        }
    }
}

/// What is given as a seed is not what `dind-storage seal` has made.
#[must_use]
pub fn invalid(seed: &Path, cause: impl fmt::Display) -> Fault {
    let fault = fault::SEED_INVALID.cannot("use", seed.display(), cause);
    fault.hint("give a directory or an image that `dind-storage seal` has made, whole and unchanged")
}

/// How large a manifest may be, in bytes: more than 100,000 layers.
const LIMIT: u64 = 64 << 20;

fn text_of(seed: &Path) -> Result<Vec<u8>, Fault> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let open = || OpenOptions::new().read(true).custom_flags(flags).open(seed.join(NAME));
    let file = match open() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !seed.exists() => {
            let fault = fault::SEED_MISSING.cannot("use", seed.display(), "there is no such directory");
            return Err(fault.hint("mount the seed there, or leave it out of DIND_STORAGE_SEED"));
        }
        Err(error) => return Err(invalid(seed, format_args!("{NAME}: {error}"))),
    };
    let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
    let mut text = Vec::new();
    match file.take(LIMIT + 1).read_to_end(&mut text) {
        _ if !is_file => Err(invalid(seed, format_args!("{NAME} is not a file"))),
        Ok(length) if length as u64 > LIMIT => Err(invalid(seed, format_args!("{NAME} is too large"))),
        Ok(_) => Ok(text),
        Err(error) => Err(invalid(seed, format_args!("{NAME}: {error}"))),
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
