//! A made-up data root of Docker's `overlay2` driver: what an engine writes, without one. Its layers have whatever a test puts
//! into them.

use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A data root.
#[derive(Clone, Debug)]
pub struct DataRoot {
    /// Where it lies.
    pub path: PathBuf,
    /// Two data roots have the same layers under different names of the driver's.
    label: String,
}

/// A layer of a data root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The diff ids of the layer and all beneath it, the lowest first.
    pub diff_ids: Vec<String>,
    /// Digits of its chain id.
    pub chain_id: String,
    /// The driver's name for it.
    pub cache_id: String,
    /// The driver's short name for it.
    pub link: String,
    /// The short names of the layers beneath, as the driver writes them.
    pub lower: Option<String>,
}

/// The digits of a SHA-256.
#[must_use]
pub fn sha256(content: impl AsRef<[u8]>) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl DataRoot {
    /// An empty one. The label decides what the driver calls the layers.
    ///
    /// # Panics
    /// It cannot be made, as with everything here.
    #[must_use]
    pub fn new(path: &Path, label: &str) -> Self {
        let root = Self { path: path.to_owned(), label: label.to_owned() };
        directory(path, 0o711);
        directory(&root.driver().join("l"), 0o700);
        for name in [
            "imagedb/content/sha256",
            "imagedb/metadata/sha256",
            "layerdb/sha256",
            "layerdb/tmp",
            "layerdb/mounts",
        ] {
            directory(&root.images().join(name), 0o700);
        }
        root.write_names(&json!({}));
        root
    }

    /// One that is there. The label decides what the driver calls layers that are added.
    #[must_use]
    pub fn existing(path: &Path, label: &str) -> Self {
        Self { path: path.to_owned(), label: label.to_owned() }
    }

    /// What the driver writes into the `lower` of a layer or a container upon a layer that is there under whatever name.
    #[must_use]
    pub fn lower_upon(&self, layer: &Layer) -> String {
        let cache_id = self.images().join("layerdb/sha256").join(&layer.chain_id).join("cache-id");
        let cache = self.driver().join(fs::read_to_string(cache_id).unwrap());
        let link = fs::read_to_string(cache.join("link")).unwrap();
        let below = fs::read_to_string(cache.join("lower"))
            .map_or_else(|_| String::new(), |lower| format!(":{lower}"));
        format!("l/{link}{below}")
    }

    /// Where the driver keeps its part.
    #[must_use]
    pub fn driver(&self) -> PathBuf {
        self.path.join("overlay2")
    }

    /// Where images are described.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.path.join("image/overlay2")
    }

    /// The files of a layer.
    #[must_use]
    pub fn diff(&self, layer: &Layer) -> PathBuf {
        self.driver().join(&layer.cache_id).join("diff")
    }

    /// Adds a layer, whose archive is made up from its name: the same name upon the same parent is the same layer.
    pub fn layer(&self, parent: Option<&Layer>, name: &str, fill: impl FnOnce(&Path)) -> Layer {
        let diff_id = format!("sha256:{}", sha256(name));
        let chain_id = match parent {
            None => sha256(name),
            Some(parent) => sha256(format!("sha256:{} {diff_id}", parent.chain_id)),
        };
        let unique = sha256(format!("{} {chain_id}", self.label));
        let lower = parent.map(|parent| self.lower_upon(parent));
        let mut diff_ids = parent.map_or_else(Vec::new, |parent| parent.diff_ids.clone());
        diff_ids.push(diff_id.clone());
        let link = unique[..26].to_uppercase();
        let layer = Layer { diff_ids, chain_id: chain_id.clone(), cache_id: unique, link, lower };

        let cache = self.driver().join(&layer.cache_id);
        directory(&cache, 0o710);
        directory(&cache.join("diff"), 0o755);
        fill(&cache.join("diff"));
        fs::write(cache.join("link"), &layer.link).unwrap();
        symlink(format!("../{}/diff", layer.cache_id), self.driver().join("l").join(&layer.link)).unwrap();
        if let Some(lower) = &layer.lower {
            fs::write(cache.join("lower"), lower).unwrap();
            directory(&cache.join("work"), 0o700);
        }
        let described = self.images().join("layerdb/sha256").join(&chain_id);
        directory(&described, 0o700);
        let write = |name: &str, text: &str| fs::write(described.join(name), text).unwrap();
        write("diff", &diff_id);
        write("cache-id", &layer.cache_id);
        write("size", "4096");
        write("tar-split.json.gz", &format!("of {name}"));
        if let Some(parent) = parent {
            write("parent", &format!("sha256:{}", parent.chain_id));
        }
        layer
    }

    /// Adds an image with the layer and all beneath it; returns its id, with `sha256:`.
    pub fn image(&self, names: &[&str], top: Option<&Layer>) -> String {
        let diff_ids = top.map_or_else(Vec::new, |top| top.diff_ids.clone());
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Labels": {"of": names.join(" ")}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string();
        let hex = sha256(&config);
        fs::write(self.images().join("imagedb/content/sha256").join(&hex), config).unwrap();
        let id = format!("sha256:{hex}");
        let mut all = self.names();
        for name in names {
            let repository = name.split_once('@').or_else(|| name.rsplit_once(':')).unwrap().0;
            all[repository][name] = json!(id);
        }
        self.write_names(&all);
        id
    }

    /// Adds what is known of an image apart from its configuration.
    pub fn image_metadata(&self, id: &str, name: &str, text: &str) {
        let directory = self.images().join("imagedb/metadata/sha256").join(digits(id));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
    }

    /// The names of images, by repository.
    #[must_use]
    pub fn names(&self) -> serde_json::Value {
        let text = fs::read(self.images().join("repositories.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["Repositories"].take()
    }

    fn write_names(&self, names: &serde_json::Value) {
        let file = self.images().join("repositories.json");
        fs::write(&file, json!({"Repositories": names}).to_string()).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// An id without `sha256:`.
#[must_use]
pub fn digits(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

fn directory(path: &Path, mode: u32) {
    DirBuilder::new().recursive(true).mode(mode).create(path).unwrap();
}
