//! Looks at seeds and data root, and decides. Done for a plan, and again by an apply, which has locked the data root by then.

use super::decide::{Changes, Situation, decide};
use super::held::{self, Held};
use super::manifest::Loaded;
use super::options::SeedOptions;
use super::record::{self, Record};
use super::remains;
use super::source::Seed;
use crate::fault;
use crate::store::Store;
use crate::store::digest::Digest;
use dind_contract::Fault;
use dind_system::Root;
use nix::unistd::geteuid;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A data root with its seeds, and what has to change.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// What earlier applies have brought.
    pub record: Record,
    /// What the data root holds.
    pub held: Held,
    /// What has to change.
    pub changes: Changes,
    /// Whether nothing has to change.
    pub is_merged: bool,
}

/// Looks and decides; nothing where no seed was ever used in this data root, and none is given.
///
/// # Errors
/// The record or the data root cannot be read, or containers need a seed that is gone.
pub fn look(
    root: &Root,
    data_root: &Path,
    seeds: &[Seed],
    options: &SeedOptions,
) -> Result<Option<View>, Fault> {
    let place = root.path(data_root);
    let unreadable = |error| {
        let fault = fault::SEED_NOT_MERGED.cannot("read", record::path(data_root).display(), error);
        fault.hint("use the version of dind that has written it")
    };
    let record = match Record::read(&place) {
        // A plan by somebody else than root sees none.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !geteuid().is_root() => None,
        record => record.map_err(unreadable)?,
    };
    if record.is_none() && seeds.is_empty() {
        return Ok(None);
    }
    let record = record.unwrap_or_default();
    let unreadable = |error| {
        let fault = fault::SEED_NOT_MERGED.cannot("read the images in", data_root.display(), error);
        fault.hint("look at the data root and at the kernel's log")
    };
    let mut held = Held::read(&place).map_err(unreadable)?;
    let mut aside = Held::read(&held::aside(&place)).map_err(unreadable)?;
    if !held::aside(&place).exists() {
        aside = Held::default();
    } else {
        aside.read_dependents(&held::aside(&place)).map_err(unreadable)?;
    }
    let given: Vec<(PathBuf, Loaded)> =
        seeds.iter().map(|seed| (seed.path.clone(), seed.loaded.clone())).collect();
    let boot_id = root.read("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    let damaged = match record.boot_id == boot_id {
        true => BTreeSet::new(),
        false => damaged(&place, &record, &held, seeds),
    };
    // `held` is another one below.
    let situation = Situation {
        seeds: &given,
        record: &record,
        held: &aside,
        aside: &aside,
        damaged: &damaged,
        restore: options.restore,
        missing: options.missing,
        boot_id: &boot_id,
    };
    if (Situation { held: &held, ..situation }).is_missing_a_layer() {
        held.read_dependents(&place).map_err(unreadable)?;
    }
    let changes = decide(&Situation { held: &held, ..situation })?;
    let is_merged = changes.is_nothing(&record) && !remains::has_remains(&place);
    Ok(Some(View { is_merged, changes, record, held }))
}

/// What a power cut has damaged of what the record lists as a seed's: images, and chain ids of layers.
fn damaged(data_root: &Path, record: &Record, held: &Held, seeds: &[Seed]) -> BTreeSet<Digest> {
    let store = Store::at(data_root);
    let mut damaged = BTreeSet::new();
    for id in record.images.keys().filter(|id| held.images.contains_key(id)) {
        let is_whole = fs::read(store.image_content(id)).is_ok_and(|content| Digest::of(&content) == *id);
        damaged.extend((!is_whole).then(|| id.clone()));
    }
    for (id, entry) in &record.layers {
        let Some(layer) = held.layers.get(id) else {
            // Nothing is left of what the layer was called, or not even that.
            damaged.extend(store.layer(id).exists().then(|| id.clone()));
            continue;
        };
        let of_seed = seeds.iter().find(|seed| seed.loaded.manifest.layer(id).is_some());
        let Some(of_seed) = of_seed.filter(|_| layer.cache_id == entry.cache_id) else { continue };
        let link = fs::read_to_string(store.cache(&entry.cache_id).join("link"));
        let is_whole = link.is_ok_and(|link| link == entry.link)
            && fs::metadata(store.diff(&entry.cache_id)).is_ok()
            && fs::symlink_metadata(store.short_link(&entry.link)).is_ok()
            && is_same(&Store::at(&of_seed.root).layer(id), &store.layer(id))
            && (layer.parent.is_none()
                || fs::metadata(store.cache(&entry.cache_id).join("lower")).is_ok_and(|file| file.len() > 0));
        damaged.extend((!is_whole).then(|| id.clone()));
    }
    damaged
}

/// Whether all files of a seed's directory are in the data root's, apart from the layer's name.
fn is_same(of_seed: &Path, ours: &Path) -> bool {
    let Ok(entries) = fs::read_dir(of_seed) else { return false };
    let mut names = entries.flatten().map(|entry| entry.file_name()).filter(|name| name != "cache-id");
    names.all(|name| {
        let read = |directory: &Path| fs::read(directory.join(&name)).ok();
        read(of_seed).is_some_and(|text| read(ours) == Some(text))
    })
}
