//! The names of images. A name that the data root has given to something else is never taken over.

use super::{Changes, Situation};
use crate::store::digest::Digest;
use std::collections::BTreeSet;

/// Decides which names there are then.
pub(super) fn decide(situation: &Situation<'_>, changes: &mut Changes) {
    let mut names = situation.held.names.clone();
    let record = &mut changes.record;
    for id in changes.out.images.iter().chain(&changes.aside.images) {
        for name in names.names_of(id) {
            // A seed that comes back brings its own names again.
            if record.names.remove(&name).is_none() || changes.aside.images.contains(id) {
                record.names_aside.insert(name, id.clone());
            }
        }
        names.remove(id);
    }
    let mut there: BTreeSet<&Digest> = situation.held.images.keys().collect();
    there.retain(|id| !changes.out.images.contains(id) && !changes.aside.images.contains(id));
    there.extend(changes.images.iter().map(|image| &image.id));
    there.extend(&changes.back.images);

    // Those of images that an apply took out before it was killed.
    let dangling = situation.held.names.iter().filter(|(name, id)| {
        !there.contains(id)
            && [&record.names, &record.names_aside].iter().any(|of| of.get(*name) == Some(*id))
    });
    let dangling: Vec<_> = dangling.map(|(name, _)| name.to_owned()).collect();
    for name in dangling {
        names.take(&name);
        record.names.remove(&name);
    }
    record.names_aside.retain(|name, id| {
        let is_back = there.contains(id);
        if is_back {
            names.add(name, id);
        }
        !is_back
    });
    let mut given = BTreeSet::new();
    for (_, image) in situation.images().filter(|(_, image)| there.contains(&image.id)) {
        for name in &image.names {
            if record.removed_names.get(name) == Some(&image.id) || !given.insert(name) {
                continue;
            }
            let is_free = match names.get(name) {
                None => true,
                // A seed that was changed has given it to another image.
                Some(other) => *other != image.id && record.names.get(name) == Some(other),
            };
            if is_free {
                names.set(name, &image.id);
                record.names.insert(name.clone(), image.id.clone());
            }
        }
    }
    changes.names = (names != situation.held.names).then_some(names);
}
