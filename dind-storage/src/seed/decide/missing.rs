//! Layers that no seed has any more. An image whose layer has no files is worse than none, so dockerd must not see it.

use super::{Changes, Set, Situation};
use crate::fault;
use crate::seed::options::MissingSeed;
use crate::store::digest::Digest;
use dind_contract::{Fault, Warning};
use std::collections::BTreeSet;

/// Decides what goes: images of a seed are taken out, what is the user's own is set aside.
///
/// # Errors
/// Containers need what goes, and were not to be set aside.
pub(super) fn decide(situation: &Situation<'_>, changes: &mut Changes) -> Result<(), Fault> {
    let Situation { held, .. } = situation;
    let supply = situation.supply();
    let missing: BTreeSet<Digest> = held
        .layers
        .keys()
        .filter(|chain_id| situation.ours(chain_id).is_some() && !supply.contains_key(chain_id))
        .cloned()
        .collect();
    let affected = held.with_all_upon(&missing);
    let is_affected = |top: Option<&Digest>| top.is_some_and(|top| affected.contains(top));
    let ours = |layer: &Digest| (layer.clone(), situation.ours(layer).cloned());
    changes.out.layers = missing.iter().map(ours).collect();
    changes.aside.layers = affected.difference(&missing).map(|layer| (layer.clone(), None)).collect();
    for (id, top) in &held.images {
        match changes.record.images.get(id) {
            Some(entry) if is_affected(entry.top.as_ref()) => _ = changes.out.images.insert(id.clone()),
            None if is_affected(top.as_ref()) => _ = changes.aside.images.insert(id.clone()),
            _ => {}
        }
    }
    let containers = held.containers.iter().filter(|(_, container)| is_affected(container.parent.as_ref()));
    changes.aside.containers = containers.map(|(id, _)| id.clone()).collect();
    if !changes.aside.containers.is_empty() && situation.missing == MissingSeed::Refuse {
        return Err(needed(situation, changes));
    }
    changes.record.images.retain(|id, _| !changes.out.images.contains(id));
    Ok(())
}

fn needed(situation: &Situation<'_>, changes: &Changes) -> Fault {
    let what = format_args!("cannot start without {}", missing_seeds(situation));
    let cause = format!("containers need it: {}", containers(situation, &changes.aside).join(", "));
    let mut fault = fault::SEED_NEEDED.failed(what, cause);
    let images = own_images(situation, &changes.aside);
    if !images.is_empty() {
        fault = fault.cause(format!("images were made from it: {}", images.join(", ")));
    }
    fault.hint(
        "give it again in DIND_STORAGE_SEED, or set DIND_STORAGE_SEED_MISSING=set-aside to start without these containers \
         until it is back",
    )
}

/// The seeds that were there at the last start and are not, or are others by now.
fn missing_seeds(situation: &Situation<'_>) -> String {
    let given = |digest: &Digest| situation.seeds.iter().any(|(_, loaded)| loaded.digest == *digest);
    let missing = situation.record.seeds.iter().filter(|seed| !given(&seed.digest));
    let names: Vec<_> = missing.map(|seed| format!("`{}`", seed.path.display())).collect();
    if names.is_empty() {
        "a seed".to_owned()
    } else {
        format!("the seed {} of the last start", names.join(", "))
    }
}

/// What the user should know of it.
pub(super) fn warnings(situation: &Situation<'_>, changes: &Changes) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let called = |id| situation.record.images.get(id).map(|entry| entry.called(id));
    let taken: Vec<_> = changes.out.images.iter().filter_map(called).collect();
    if !taken.is_empty() {
        warnings.push(Warning::new(
            fault::SEED_IMAGES_REMOVED,
            format!("images are gone with {}: {}", missing_seeds(situation), taken.join(", ")),
            "give the seed again in DIND_STORAGE_SEED, or pull them",
        ));
    }
    let images = own_images(situation, &changes.aside);
    let containers = containers(situation, &changes.aside);
    let parts = [("images", images), ("containers", containers)];
    let parts = parts.iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<_> = parts.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
    if !parts.is_empty() {
        let what = format!("{} need {} and are set aside", parts.join(" and "), missing_seeds(situation));
        let hint = "they come back as soon as the seed is given again in DIND_STORAGE_SEED";
        warnings.push(Warning::new(fault::SEED_IMAGES_SET_ASIDE, what, hint));
    }
    warnings
}

fn own_images(situation: &Situation<'_>, set: &Set) -> Vec<String> {
    let called = |id: &Digest| {
        let names = situation.held.names.names_of(id);
        names.into_iter().next().unwrap_or_else(|| id.short().to_owned())
    };
    set.images.iter().map(called).collect()
}

fn containers(situation: &Situation<'_>, set: &Set) -> Vec<String> {
    let called = |id: &String| situation.held.containers.get(id).map(|container| container.name.clone());
    set.containers.iter().filter_map(called).collect()
}
