//! What a data root holds, as far as seeds are concerned; and the same of what was set aside in it. What the engine itself would
//! pass over is passed over here: a broken image of the user's own is not ours to complain about.

use super::record;
use crate::store::Store;
use crate::store::digest::Digest;
use crate::store::image::Image;
use crate::store::layer::is_name;
use crate::store::read::repositories;
use crate::store::repositories::Repositories;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a data root holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The images, by id. What is on top of each is known once [`Held::read_dependents`] has looked.
    pub images: BTreeMap<Digest, Option<Digest>>,
    /// The layers, by chain id.
    pub layers: BTreeMap<Digest, HeldLayer>,
    /// The names of images.
    pub names: Repositories,
    /// The containers, by id; empty until [`Held::read_dependents`] has looked.
    pub containers: BTreeMap<String, HeldContainer>,
}

/// A layer in the layer database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLayer {
    /// The driver's name for it.
    pub cache_id: String,
    /// The layer beneath.
    pub parent: Option<Digest>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldContainer {
    /// What it is called; its id where that is not known.
    pub name: String,
    /// The uppermost layer of its image.
    pub parent: Option<Digest>,
}

impl Held {
    /// Reads what a data root holds: images and layers by name, and the layers' names and parents.
    ///
    /// # Errors
    /// A directory cannot be read, or the names cannot be parsed: to write them anew would lose some.
    pub fn read(data_root: &Path) -> io::Result<Self> {
        let store = Store::at(data_root);
        let names = repositories(&store)
            .map_err(|error| io::Error::other(format!("{}: {}", error.path.display(), error.error)))?;
        let mut held = Self { names, ..Self::default() };
        for id in ids(&store.images().join("imagedb/content/sha256"))? {
            held.images.insert(id, None);
        }
        for chain_id in ids(&store.images().join("layerdb/sha256"))? {
            held.layers.extend(layer(&store, &chain_id)?.map(|layer| (chain_id, layer)));
        }
        Ok(held)
    }

    /// Looks at what needs layers: the images' configurations, and the containers.
    ///
    /// # Errors
    /// The containers cannot be listed.
    pub fn read_dependents(&mut self, data_root: &Path) -> io::Result<()> {
        let store = Store::at(data_root);
        for (id, top) in &mut self.images {
            *top = match Image::read(&store, id) {
                Ok(image) => image.layers.last().cloned(),
                // The engine passes over one that is damaged.
                Err(error) if error.raw_os_error().is_none() => None,
                Err(error) => return Err(error),
            };
        }
        for id in names(&mounts(data_root))? {
            let parent = Digest::parse(&text_of(&mounts(data_root).join(&id).join("parent"))?);
            let name = container_name(data_root, &id).unwrap_or_else(|| id.clone());
            self.containers.insert(id, HeldContainer { name, parent });
        }
        Ok(())
    }

    /// Whether there is anything in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.layers.is_empty() && self.containers.is_empty()
    }

    /// These layers, and all upon them.
    #[must_use]
    pub fn with_all_upon(&self, layers: &BTreeSet<Digest>) -> BTreeSet<Digest> {
        let mut children: BTreeMap<&Digest, Vec<&Digest>> = BTreeMap::new();
        for (chain_id, layer) in &self.layers {
            if let Some(parent) = &layer.parent {
                children.entry(parent).or_default().push(chain_id);
            }
        }
        let mut upon: BTreeSet<Digest> = BTreeSet::new();
        let mut next: Vec<&Digest> = layers.iter().collect();
        while let Some(chain_id) = next.pop() {
            if upon.insert(chain_id.clone()) {
                next.extend(children.get(chain_id).into_iter().flatten());
            }
        }
        upon
    }
}

/// Where a data root has what is set aside: laid out as a data root.
#[must_use]
pub fn aside(data_root: &Path) -> PathBuf {
    record::directory(data_root).join("aside")
}

/// Where the layer database has the containers' own layers.
#[must_use]
pub fn mounts(data_root: &Path) -> PathBuf {
    Store::at(data_root).images().join("layerdb/mounts")
}

/// Where the engine keeps its containers.
#[must_use]
pub fn containers(data_root: &Path) -> PathBuf {
    data_root.join("containers")
}

/// Nothing where a file is missing, empty or no text: the engine does not see such a layer either.
fn layer(store: &Store, chain_id: &Digest) -> io::Result<Option<HeldLayer>> {
    let read = |name: &str| text_of(&store.layer(chain_id).join(name));
    let cache_id = read("cache-id")?.trim().to_owned();
    let parent = Digest::parse(&read("parent")?);
    // It becomes part of a path.
    Ok(is_name(&cache_id).then_some(HeldLayer { cache_id, parent }))
}

/// The text of a file; none where it is missing or is no text.
fn text_of(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            Ok(String::new())
        }
        read => read,
    }
}

/// `/NAME` in the engine's file (moby, `container/container.go`).
fn container_name(data_root: &Path, id: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "Name")]
        name: String,
    }
    let text = fs::read(containers(data_root).join(id).join("config.v2.json")).ok()?;
    let config: Config = serde_json::from_slice(&text).ok()?;
    let name = config.name.trim_start_matches('/');
    (!name.is_empty()).then(|| name.to_owned())
}

fn ids(directory: &Path) -> io::Result<Vec<Digest>> {
    Ok(names(directory)?.iter().filter_map(|name| Digest::from_hex(name)).collect())
}

/// The names in a directory that can be ids; none where there is no such directory.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok().filter(|name| is_name(name)));
    }
    Ok(names)
}
