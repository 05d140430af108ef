//! The image store of Docker's `overlay2` graph driver: where it keeps what, and how that is read.
//!
//! The engine has no way to add an image store beside its own (moby#40196 and five requests before it), so whoever wants to share
//! images between data roots has to know these files. The layout has been the same from 1.10, which brought content
//! addresses, to 29. It is known here and nowhere else:
//!
//! * `image/overlay2/imagedb/content/sha256/ID` is an image's configuration; its name is its own SHA-256 (moby, `image/fs.go`).
//!   `imagedb/metadata/sha256/ID/` has what does not belong to the content: `parent`, `lastUpdated`.
//! * `image/overlay2/layerdb/sha256/CHAIN/` is a layer: `diff` (its diff id), `parent` (a chain id), `size`, `cache-id`, and
//!   `tar-split.json.gz`, by which its archive is made again byte for byte (moby, `layer/filestore.go`).
//! * `image/overlay2/repositories.json` has the names of images (moby, `reference/store.go`).
//! * `image/overlay2/distribution/` knows the digests that layers have in registries. Without it they are only pulled again.
//! * `overlay2/CACHE-ID/diff` has the layer's files, `link` a short name, `lower` the short names of the layers beneath, the
//!   nearest first; `overlay2/l/SHORT` is a symbolic link to `../CACHE-ID/diff` (moby, `daemon/graphdriver/overlay2`).
//!
//! [`read`] reads all of it at once, [`digest`] has the ids, [`repositories`] the names.

pub mod digest;
pub mod image;
pub mod layer;
pub mod read;
pub mod repositories;

use digest::Digest;
use std::path::{Path, PathBuf};

/// Where the driver keeps its part, in a data root and in a seed.
pub const DRIVER_DIRECTORY: &str = "overlay2";
/// Where the images are described.
pub const IMAGE_DIRECTORY: &str = "image/overlay2";

/// The paths of a store, in a data root or in a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The data root, or the seed.
    pub root: PathBuf,
}

impl Store {
    /// The store in a data root, or in a seed.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where the images are described.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.root.join(IMAGE_DIRECTORY)
    }

    /// An image's configuration.
    #[must_use]
    pub fn image_content(&self, id: &Digest) -> PathBuf {
        self.images().join("imagedb/content/sha256").join(id.hex())
    }

    /// The directory of what is known of an image apart from its configuration.
    #[must_use]
    pub fn image_metadata(&self, id: &Digest) -> PathBuf {
        self.images().join("imagedb/metadata/sha256").join(id.hex())
    }

    /// The directory that describes a layer.
    #[must_use]
    pub fn layer(&self, chain_id: &Digest) -> PathBuf {
        self.images().join("layerdb/sha256").join(chain_id.hex())
    }

    /// The file with the images' names.
    #[must_use]
    pub fn repositories(&self) -> PathBuf {
        self.images().join("repositories.json")
    }

    /// The driver's directory.
    #[must_use]
    pub fn driver(&self) -> PathBuf {
        self.root.join(DRIVER_DIRECTORY)
    }

    /// The driver's directory of a layer.
    #[must_use]
    pub fn cache(&self, cache_id: &str) -> PathBuf {
        self.driver().join(cache_id)
    }

    /// The files of a layer.
    #[must_use]
    pub fn diff(&self, cache_id: &str) -> PathBuf {
        self.cache(cache_id).join("diff")
    }

    /// The symbolic link by which overlay mounts name a layer: their options have to fit into a page.
    #[must_use]
    pub fn short_link(&self, link: &str) -> PathBuf {
        self.driver().join("l").join(link)
    }
}
