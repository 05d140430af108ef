//! What was set aside and can come back, because its layers are there again.

use super::install::keep_entries;
use super::{Changes, Situation};
use crate::store::digest::Digest;
use std::collections::BTreeSet;

/// Decides what comes back; `layers` are those that the data root has otherwise.
pub(super) fn decide(situation: &Situation<'_>, changes: &mut Changes, mut layers: BTreeSet<Digest>) {
    let aside = situation.aside;
    let ours = layers.clone();
    loop {
        let is_there = |parent: &Option<Digest>| parent.as_ref().is_none_or(|parent| layers.contains(parent));
        let more: Vec<_> = aside
            .layers
            .iter()
            .filter(|(id, layer)| !layers.contains(id) && is_there(&layer.parent))
            .map(|(id, _)| id.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        changes.back.layers.extend(more.iter().map(|id| (id.clone(), None)));
        layers.extend(more);
    }
    let is_there = |top: &Option<Digest>| top.as_ref().is_none_or(|top| layers.contains(top));
    for (id, top) in &aside.images {
        let is_held = situation.held.images.contains_key(id) && !changes.aside.images.contains(id);
        if is_held {
            changes.twice.insert(id.clone());
        } else if is_there(top) {
            changes.back.images.insert(id.clone());
        }
    }
    let containers = aside.containers.iter().filter(|(_, container)| is_there(&container.parent));
    changes.back.containers = containers.map(|(id, _)| id.clone()).collect();

    let back = &changes.back;
    let rest = !changes.aside.is_empty()
        || aside.layers.keys().any(|id| !back.layers.contains_key(id) && !layers.contains(id))
        || aside.images.keys().any(|id| !back.images.contains(id) && !changes.twice.contains(id))
        || aside.containers.keys().any(|id| !back.containers.contains(id));
    if !back.is_empty() {
        // A layer that the user has pulled meanwhile has other names than those that are in the `lower` of what comes back.
        let pulled = situation.record.layers.iter().filter_map(|(id, entry)| {
            let held = situation.held.layers.get(id).filter(|held| held.cache_id != entry.cache_id)?;
            Some((entry.link.clone(), held.cache_id.clone()))
        });
        changes.aliases = pulled.collect();
    }
    keep_entries(situation, changes, &ours, rest);
}
