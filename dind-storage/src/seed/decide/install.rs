//! Images and layers to come, and which layers are bound to what.

use super::{Bind, Changes, Situation, entry_of};
use crate::seed::manifest::SeedLayer;
use crate::seed::record::LayerEntry;
use crate::store::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// A layer to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLayer {
    /// Which seed has it.
    pub seed: usize,
    /// Its chain id.
    pub chain_id: Digest,
    /// The layer beneath. The driver's names of that are the data root's, not the seed's.
    pub parent: Option<Digest>,
    /// What the seed calls it.
    pub from: String,
    /// What the data root is to call it.
    pub names: LayerEntry,
}

/// An image to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImage {
    /// Which seed has it.
    pub seed: usize,
    /// Its id.
    pub id: Digest,
}

/// Decides what comes; returns the layers that the data root has then, apart from those that come back from where they were set
/// aside.
pub(super) fn decide(situation: &Situation<'_>, changes: &mut Changes) -> BTreeSet<Digest> {
    let supply = situation.supply();
    let mut wanted = BTreeSet::new();
    for (seed, image) in situation.images() {
        let is_ours = changes.record.images.contains_key(&image.id);
        if situation.held.images.contains_key(&image.id) {
            if !is_ours {
                continue;
            }
            if situation.damaged.contains(&image.id) {
                changes.images.push(NewImage { seed, id: image.id.clone() });
            }
        } else if is_ours || changes.record.removed_images.contains(&image.id) {
            // It comes from another seed, or never again.
            continue;
        } else if !situation.aside.images.contains_key(&image.id) {
            changes.images.push(NewImage { seed, id: image.id.clone() });
            changes.record.images.insert(image.id.clone(), entry_of(image));
        }
        wanted.extend(&image.layers);
    }
    let aside = situation.aside;
    let needed_aside = aside
        .layers
        .values()
        .filter_map(|layer| layer.parent.as_ref())
        .chain(aside.images.values().flatten())
        .chain(aside.containers.values().filter_map(|container| container.parent.as_ref()));
    for chain_id in needed_aside {
        let mut next = supply.get(chain_id);
        while let Some((_, layer)) = next {
            wanted.insert(&layer.chain_id);
            next = layer.parent.as_ref().and_then(|parent| supply.get(parent));
        }
    }

    let mut there: BTreeSet<Digest> = situation.held.layers.keys().cloned().collect();
    there
        .retain(|layer| !changes.out.layers.contains_key(layer) && !changes.aside.layers.contains_key(layer));
    let mut taken = Taken::new(situation);
    // Layers of a manifest come after their parents; those of a later seed may have parents in an earlier one.
    for (number, (_, loaded)) in situation.seeds.iter().enumerate() {
        for layer in &loaded.manifest.layers {
            let id = &layer.chain_id;
            let first = supply.get(id).is_some_and(|(first, _)| *first == number);
            let is_anothers = situation.held.layers.contains_key(id) && situation.ours(id).is_none();
            let is_damaged = situation.damaged.contains(id) && !is_anothers;
            let stays = there.contains(id) && !is_damaged;
            if !first || stays || !(wanted.contains(id) || is_damaged) {
                continue;
            }
            there.insert(id.clone());
            let names = situation.record.layers.get(id).cloned();
            let names = names.unwrap_or_else(|| taken.names_for(layer));
            changes.record.layers.insert(id.clone(), names.clone());
            changes.layers.push(NewLayer {
                seed: number,
                chain_id: id.clone(),
                parent: layer.parent.clone(),
                from: layer.cache_id.clone(),
                names,
            });
        }
    }
    let new: BTreeSet<&Digest> = changes.layers.iter().map(|layer| &layer.chain_id).collect();
    let bound = there.iter().filter_map(|id| {
        let entry = if new.contains(id) { changes.record.layers.get(id) } else { situation.ours(id) };
        Some((entry?, supply.get(id)?))
    });
    changes.binds = bound
        .map(|(entry, (seed, layer))| Bind {
            seed: *seed,
            from: layer.cache_id.clone(),
            to: entry.cache_id.clone(),
        })
        .collect();
    there
}

/// The driver's names that are in use.
struct Taken {
    names: BTreeSet<String>,
}

impl Taken {
    fn new(situation: &Situation<'_>) -> Self {
        let held = situation.held.layers.values().map(|layer| layer.cache_id.clone());
        let aside = situation.aside.layers.values().map(|layer| layer.cache_id.clone());
        let ours =
            situation.record.layers.values().flat_map(|entry| [entry.cache_id.clone(), entry.link.clone()]);
        Self { names: held.chain(aside).chain(ours).collect() }
    }

    /// The seed's, or others where the data root has those for something else.
    fn names_for(&mut self, layer: &SeedLayer) -> LayerEntry {
        let mut entry = LayerEntry { cache_id: layer.cache_id.clone(), link: layer.link.clone() };
        if self.names.contains(&entry.cache_id) || self.names.contains(&entry.link) {
            let other = Digest::of(format!("{} {}", layer.cache_id, layer.chain_id).as_bytes());
            entry.cache_id = other.hex().to_owned();
            // As long as the driver's own (moby, `daemon/graphdriver/overlay2`, `idLength`).
            entry.link = other.hex()[..26].to_ascii_uppercase();
        }
        self.names.extend([entry.cache_id.clone(), entry.link.clone()]);
        entry
    }
}

/// What the record needs to know of layers: those of seeds that are there, and while something is set aside all of before.
pub(super) fn keep_entries(
    situation: &Situation<'_>,
    changes: &mut Changes,
    there: &BTreeSet<Digest>,
    aside: bool,
) {
    let new: BTreeMap<&Digest, ()> = changes.layers.iter().map(|layer| (&layer.chain_id, ())).collect();
    let is_there = |id: &Digest| there.contains(id) && (new.contains_key(id) || situation.ours(id).is_some());
    changes.leftovers = situation
        .record
        .layers
        .iter()
        .filter(|(id, _)| situation.record.pending && !is_there(id) && !changes.out.layers.contains_key(*id))
        .map(|(_, entry)| entry.clone())
        .collect();
    changes.record.layers.retain(|id, _| aside || is_there(id));
}
