//! The changes, one after the other.

use crate::seed::decide::install::{NewImage, NewLayer};
use crate::seed::decide::{Changes, Set};
use crate::seed::files::{Files, write};
use crate::seed::held::{self, Held};
use crate::seed::record::{self, Record};
use crate::seed::source::Seed;
use crate::store::digest::Digest;
use crate::store::{DRIVER_DIRECTORY, IMAGE_DIRECTORY, Store};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The directories that the engine makes in a data root, and we before it.
const DIRECTORIES: [&str; 4] =
    ["imagedb/content/sha256", "imagedb/metadata/sha256", "layerdb/sha256", "layerdb/mounts"];
/// What is known of layers in registries: without it, they are pulled again.
const DISTRIBUTION: [&str; 2] =
    ["distribution/diffid-by-digest/sha256", "distribution/v2metadata-by-diffid/sha256"];

/// Changes that are being made.
pub(super) struct Work<'a> {
    data_root: &'a Path,
    store: Store,
    aside: Store,
    seeds: &'a [Seed],
    held: &'a Held,
    files: Files,
    /// By chain id, what a layer upon it has in its `lower`.
    lowers: HashMap<Digest, String>,
    /// What is being written, for the error.
    doing: PathBuf,
}

impl<'a> Work<'a> {
    pub(super) fn new(data_root: &'a Path, seeds: &'a [Seed], held: &'a Held, files: Files) -> Self {
        Self {
            store: Store::at(data_root),
            aside: Store::at(&held::aside(data_root)),
            data_root,
            seeds,
            held,
            files,
            lowers: HashMap::new(),
            doing: record::path(data_root),
        }
    }

    /// What was changed, and what it was that could not be.
    pub(super) fn end(self) -> (Files, PathBuf) {
        (self.files, self.doing)
    }

    pub(super) fn run(&mut self, pending: &Record, changes: &Changes) -> io::Result<()> {
        pending.write(self.data_root, true)?;
        self.make_directories(changes)?;
        let aside = self.aside.clone();
        for id in &changes.out.images {
            self.discard(self.store.image_metadata(id))?;
            self.discard(self.store.image_content(id))?;
        }
        self.transfer(&changes.aside, true)?;
        for (id, names) in &changes.out.layers {
            self.discard(self.store.layer(id))?;
            if let Some(names) = names {
                self.discard(self.store.short_link(&names.link))?;
                self.discard(self.store.cache(&names.cache_id))?;
            }
        }
        for names in &changes.leftovers {
            self.discard(self.store.short_link(&names.link))?;
            self.discard(self.store.cache(&names.cache_id))?;
        }
        for layer in &changes.layers {
            self.layer(layer, &changes.record)?;
        }
        for image in &changes.images {
            self.image(image)?;
        }
        self.transfer(&changes.back, false)?;
        for id in &changes.twice {
            self.discard(aside.image_metadata(id))?;
            self.discard(aside.image_content(id))?;
        }
        for (link, cache_id) in &changes.aliases {
            self.short_link(link, cache_id)?;
        }
        if let Some(names) = &changes.names {
            self.doing = self.store.repositories();
            self.files.replace(&self.doing, names.text().as_bytes(), 0o600)?;
        }
        self.doing = record::path(self.data_root);
        match changes.record.is_empty() {
            true => Record::remove(self.data_root),
            false => changes.record.write(self.data_root, true),
        }
    }

    fn make_directories(&mut self, changes: &Changes) -> io::Result<()> {
        let root = self.data_root.to_owned();
        self.doing.clone_from(&root);
        // As the driver makes them (moby, `daemon/graphdriver/overlay2`, `Init`).
        self.files.make_directories(&root, DRIVER_DIRECTORY, 0o710)?;
        self.files.make_directories(&self.store.driver(), "l", 0o700)?;
        self.files.make_directories(&root, IMAGE_DIRECTORY, 0o700)?;
        for name in DIRECTORIES {
            self.files.make_directories(&self.store.images(), name, 0o700)?;
        }
        if !changes.aside.is_empty() {
            for name in DIRECTORIES {
                let below = format!("aside/{IMAGE_DIRECTORY}/{name}");
                self.files.make_directories(&record::directory(&root), &below, 0o700)?;
            }
            self.files.make_directories(&held::aside(&root), "containers", 0o700)?;
        }
        if !changes.back.containers.is_empty() {
            self.files.make_directories(&root, "containers", 0o710)?;
        }
        let mut seeds: Vec<_> = changes.layers.iter().map(|layer| layer.seed).collect();
        seeds.dedup();
        for seed in seeds {
            self.distribution(seed)?;
        }
        Ok(())
    }

    fn discard(&mut self, path: PathBuf) -> io::Result<()> {
        self.doing = path;
        self.files.discard(&self.doing)
    }

    fn rename(&mut self, from: PathBuf, to: &Path) -> io::Result<()> {
        self.doing = from;
        self.files.rename(&self.doing, to)
    }

    /// Sets aside what is the user's own, or brings it back. What needs a layer moves before that goes, and after it has come: so a
    /// kill never leaves it without. The last file of each is the one that it is known by: after a kill, the rest of it follows.
    fn transfer(&mut self, set: &Set, goes: bool) -> io::Result<()> {
        let (data_root, aside) = (self.store.clone(), self.aside.clone());
        if goes {
            self.dependents(set, &data_root, &aside)?;
            return self.layers(set, &data_root, &aside);
        }
        self.layers(set, &aside, &data_root)?;
        self.dependents(set, &aside, &data_root)
    }

    fn layers(&mut self, set: &Set, from: &Store, to: &Store) -> io::Result<()> {
        set.layers.keys().try_for_each(|id| self.rename(from.layer(id), &to.layer(id)))
    }

    fn dependents(&mut self, set: &Set, from: &Store, to: &Store) -> io::Result<()> {
        for id in &set.images {
            self.rename(from.image_metadata(id), &to.image_metadata(id))?;
            self.rename(from.image_content(id), &to.image_content(id))?;
        }
        for id in &set.containers {
            self.rename(held::containers(&from.root).join(id), &held::containers(&to.root).join(id))?;
            self.rename(held::mounts(&from.root).join(id), &held::mounts(&to.root).join(id))?;
        }
        Ok(())
    }

    /// The driver's directory first: what the layer database has must be there.
    fn layer(&mut self, layer: &NewLayer, record: &Record) -> io::Result<()> {
        let lower = layer.parent.as_ref().map(|parent| self.lower_upon(parent, record)).transpose()?;
        let path = self.store.cache(&layer.names.cache_id);
        self.doing.clone_from(&path);
        let new = self.files.temporary();
        fs::create_dir(&new)?;
        fs::create_dir(new.join("diff"))?;
        write(&new.join("link"), layer.names.link.as_bytes(), 0o644, false)?;
        // The engine never writes to a layer with this file, not even by an overlay of it, so it needs no `work` (overlay2.go, `Get`).
        write(&new.join("committed"), b"", 0o600, false)?;
        if let Some(lower) = &lower {
            write(&new.join("lower"), lower.as_bytes(), 0o644, false)?;
        }
        // Made there, it has its inode where the directory has.
        let short_link = new.join("l");
        symlink(Path::new("..").join(&layer.names.cache_id).join("diff"), &short_link)?;
        self.files.publish_link(&short_link, &self.store.short_link(&layer.names.link))?;
        self.files.publish(&new, &path)?;

        let path = self.store.layer(&layer.chain_id);
        self.doing.clone_from(&path);
        let new = self.files.temporary();
        fs::create_dir(&new)?;
        for file in list(&self.seed(layer.seed).layer(&layer.chain_id))? {
            let name = file.file_name().unwrap_or_default();
            if name != "cache-id" {
                copy(&file, &new.join(name))?;
            }
        }
        write(&new.join("cache-id"), layer.names.cache_id.as_bytes(), 0o644, false)?;
        self.files.publish(&new, &path)
    }

    fn short_link(&mut self, link: &str, cache_id: &str) -> io::Result<()> {
        self.doing = self.store.short_link(link);
        self.files.link(&Path::new("..").join(cache_id).join("diff"), &self.doing)
    }

    /// What a layer upon this one has in its `lower`: the short names of all beneath, the nearest first.
    fn lower_upon(&mut self, chain_id: &Digest, record: &Record) -> io::Result<String> {
        if let Some(lower) = self.lowers.get(chain_id) {
            return Ok(lower.clone());
        }
        let held = self.held.layers.get(chain_id).map(|layer| &layer.cache_id);
        let ours = record.layers.get(chain_id).map(|entry| &entry.cache_id);
        // One of our own that is written anew keeps its names.
        let cache_id =
            held.or(ours).ok_or_else(|| io::Error::other(format!("its parent {chain_id} is missing")))?;
        let cache = self.store.cache(cache_id);
        self.doing = cache.join("link");
        let link = fs::read_to_string(&self.doing)?;
        let lower = match fs::read_to_string(cache.join("lower")) {
            Ok(below) => format!("l/{}:{}", link.trim(), below.trim()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => format!("l/{}", link.trim()),
            Err(error) => return Err(error),
        };
        self.lowers.insert(chain_id.clone(), lower.clone());
        Ok(lower)
    }

    fn image(&mut self, image: &NewImage) -> io::Result<()> {
        let seed = self.seed(image.seed);
        let path = self.store.image_metadata(&image.id);
        self.doing.clone_from(&path);
        let known = list(&seed.image_metadata(&image.id))?;
        if !known.is_empty() {
            let new = self.files.temporary();
            fs::create_dir(&new)?;
            for file in known {
                copy(&file, &new.join(file.file_name().unwrap_or_default()))?;
            }
            self.files.publish(&new, &path)?;
        }
        let path = self.store.image_content(&image.id);
        self.doing.clone_from(&path);
        let new = self.files.temporary_file();
        copy(&seed.image_content(&image.id), &new)?;
        self.files.publish(&new, &path)
    }

    fn distribution(&mut self, seed: usize) -> io::Result<()> {
        for name in DISTRIBUTION {
            let files = list(&self.seed(seed).images().join(name))?;
            if !files.is_empty() {
                self.files.make_directories(&self.store.images(), name, 0o700)?;
            }
            for file in files {
                let path = self.store.images().join(name).join(file.file_name().unwrap_or_default());
                // An empty one was lost in a power cut.
                if fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
                    continue;
                }
                self.doing.clone_from(&path);
                let new = self.files.temporary_file();
                copy(&file, &new)?;
                self.files.publish(&new, &path)?;
            }
        }
        Ok(())
    }

    fn seed(&self, number: usize) -> Store {
        Store::at(&self.seeds[number].root)
    }
}

/// Copies a file, as the engine would write it. Most are a few bytes long, and the largest a few MiB.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    write(to, &fs::read(from)?, 0o644, false)
}

/// The paths of what is in a directory; none where there is no such directory.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries.map(|entry| Ok(entry?.path())).collect()
}
