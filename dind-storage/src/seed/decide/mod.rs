//! What has to change in a data root so that it has the images of its seeds, and none that a seed no longer carries: a pure
//! function of what it holds, of the record, and of the seeds.
//!
//! [`missing`] is about layers that no seed has any more, [`install`] about those to come, [`back`] about what was set aside,
//! [`names`] about the names of images.

pub mod back;
pub mod install;
pub mod missing;
pub mod names;

use super::held::Held;
use super::manifest::{Loaded, SeedImage, SeedLayer};
use super::record::{ImageEntry, LayerEntry, Record, SeedEntry};
use crate::seed::options::MissingSeed;
use crate::store::digest::Digest;
use crate::store::repositories::Repositories;
use dind_contract::{Fault, Warning};
use install::{NewImage, NewLayer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is decided upon.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The seeds, in the order in which they were given.
    pub seeds: &'a [(PathBuf, Loaded)],
    /// What earlier applies have brought.
    pub record: &'a Record,
    /// What the data root holds.
    pub held: &'a Held,
    /// What is set aside in it.
    pub aside: &'a Held,
    /// What a power cut has damaged of ours: images and chain ids of layers.
    pub damaged: &'a BTreeSet<Digest>,
    /// Whether images and names that the user has removed come again.
    pub restore: bool,
    /// What happens to containers whose layers are missing.
    pub missing: MissingSeed,
    /// That of the kernel.
    pub boot_id: &'a str,
}

/// What has to change, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What is taken out: images and layers that came from a seed.
    pub out: Set,
    /// What is set aside: the user's own.
    pub aside: Set,
    /// What an apply that was killed may have left of layers.
    pub leftovers: Vec<LayerEntry>,
    /// Layers to come, each after its parent.
    pub layers: Vec<NewLayer>,
    /// Images to come.
    pub images: Vec<NewImage>,
    /// What comes back from where it was set aside.
    pub back: Set,
    /// Images that are set aside, and that the data root has again.
    pub twice: BTreeSet<Digest>,
    /// Short names by which what comes back knows layers that have other names now: the short name and the driver's name.
    pub aliases: Vec<(String, String)>,
    /// The names of all images, where they change.
    pub names: Option<Repositories>,
    /// The record when all is done.
    pub record: Record,
    /// Which layers are bound to what.
    pub binds: Vec<Bind>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Images, layers and containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// By id.
    pub images: BTreeSet<Digest>,
    /// By chain id, with the driver's names of those that came from a seed.
    pub layers: BTreeMap<Digest, Option<LayerEntry>>,
    /// By id.
    pub containers: BTreeSet<String>,
}

impl Set {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.layers.is_empty() && self.containers.is_empty()
    }
}

/// A layer whose files are a seed's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Which seed has it.
    pub seed: usize,
    /// What the seed calls it.
    pub from: String,
    /// What the data root calls it.
    pub to: String,
}

impl Changes {
    /// Whether files are changed that the engine has, too.
    #[must_use]
    pub fn concern_the_engine(&self) -> bool {
        let sets = [&self.out, &self.aside, &self.back];
        !sets.iter().all(|set| set.is_empty())
            || !self.layers.is_empty()
            || !self.images.is_empty()
            || self.names.is_some()
    }

    /// Whether the data root is as it should be.
    #[must_use]
    pub fn is_nothing(&self, record: &Record) -> bool {
        let sets = [&self.out, &self.aside, &self.back];
        sets.iter().all(|set| set.is_empty())
            && self.leftovers.is_empty()
            && self.layers.is_empty()
            && self.images.is_empty()
            && self.twice.is_empty()
            && self.names.is_none()
            && self.record == *record
    }
}

/// Decides.
///
/// # Errors
/// [`crate::fault::SEED_NEEDED`]: containers need layers that no seed has any more.
pub fn decide(situation: &Situation<'_>) -> Result<Changes, Fault> {
    let mut changes = Changes { record: next_record(situation), ..Changes::default() };
    missing::decide(situation, &mut changes)?;
    let layers = install::decide(situation, &mut changes);
    back::decide(situation, &mut changes, layers);
    names::decide(situation, &mut changes);
    changes.warnings = missing::warnings(situation, &changes);
    Ok(changes)
}

/// The record, with what the user has done since it was written.
fn next_record(situation: &Situation<'_>) -> Record {
    let Situation { record: old, held, .. } = situation;
    let entry =
        |(path, loaded): &(PathBuf, Loaded)| SeedEntry { path: path.clone(), digest: loaded.digest.clone() };
    let mut new = (*old).clone();
    new.boot_id = situation.boot_id.to_owned();
    new.pending = false;
    new.seeds = situation.seeds.iter().map(entry).collect();
    new.images.retain(|id, _| held.images.contains_key(id));
    // An apply that was killed may have moved a name from one image of a seed to another, or not yet.
    let leads_to = |name: &str, id: &Digest| {
        let now = held.names.get(name)?;
        (now == id || old.pending && old.images.contains_key(now)).then(|| (name.to_owned(), now.clone()))
    };
    new.names = old.names.iter().filter_map(|(name, id)| leads_to(name, id)).collect();
    // What an apply that was killed has not brought yet was not removed by anybody.
    if !old.pending {
        new.removed_images.extend(old.images.keys().filter(|id| !new.images.contains_key(id)).cloned());
        let gone = old
            .names
            .iter()
            .filter(|(name, id)| !new.names.contains_key(*name) && held.images.contains_key(id));
        new.removed_names.extend(gone.map(|(name, id)| (name.clone(), id.clone())));
    }
    if situation.restore {
        new.removed_images.clear();
        new.removed_names.clear();
    }
    // Whoever has removed one and pulled it again has an image of their own.
    new.removed_images.retain(|id| !held.images.contains_key(id));
    new
}

impl<'a> Situation<'a> {
    /// Which seed has a layer: the first that was given.
    fn supply(&self) -> BTreeMap<&'a Digest, (usize, &'a SeedLayer)> {
        let mut supply = BTreeMap::new();
        for (number, (_, loaded)) in self.seeds.iter().enumerate() {
            for layer in &loaded.manifest.layers {
                supply.entry(&layer.chain_id).or_insert((number, layer));
            }
        }
        supply
    }

    /// Whether a seed's layer is there that no seed has any more: then it matters who needs it.
    #[must_use]
    pub fn is_missing_a_layer(&self) -> bool {
        let supply = self.supply();
        self.held.layers.keys().any(|layer| self.ours(layer).is_some() && !supply.contains_key(layer))
    }

    /// All images of all seeds.
    fn images(&self) -> impl Iterator<Item = (usize, &'a SeedImage)> {
        let seeds = self.seeds.iter().enumerate();
        seeds
            .flat_map(|(number, (_, loaded))| loaded.manifest.images.iter().map(move |image| (number, image)))
    }

    /// What the record says of a layer that is there; nothing where it is the data root's own.
    fn ours(&self, chain_id: &Digest) -> Option<&'a LayerEntry> {
        let held = self.held.layers.get(chain_id)?;
        self.record.layers.get(chain_id).filter(|entry| entry.cache_id == held.cache_id)
    }
}

/// An image as the record has it.
fn entry_of(image: &SeedImage) -> ImageEntry {
    ImageEntry { top: image.layers.last().cloned(), names: image.names.clone() }
}

/// The record while the changes are made: all that was there, and all that will be. What is taken out stays known as a seed's until
/// it is gone.
#[must_use]
pub fn pending(old: &Record, new: &Record) -> Record {
    let mut record = new.clone();
    record.pending = true;
    for (id, image) in &old.images {
        record.images.entry(id.clone()).or_insert_with(|| image.clone());
    }
    for (id, layer) in &old.layers {
        record.layers.entry(id.clone()).or_insert_with(|| layer.clone());
    }
    for (name, id) in &old.names {
        record.names.entry(name.clone()).or_insert_with(|| id.clone());
    }
    record
}

/// The record's digest of a seed, by path: whether it was used before, as it is.
#[must_use]
pub fn is_known(record: &Record, path: &Path, digest: &Digest) -> bool {
    !record.pending && record.seeds.iter().any(|seed| seed.path == path && seed.digest == *digest)
}
