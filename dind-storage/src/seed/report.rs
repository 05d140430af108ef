//! What a document says of seeds.

use super::look::View;
use super::manifest::{Manifest, SeedImage};
use super::source::Seed;
use crate::report::{NamedImage, Seed as Report, SeedImage as ImageReport, SeedImageState};
use std::path::{Path, PathBuf};

/// The seeds that were given; a seed that is not mounted yet has no content. Without a view of the data root, all of a seed's
/// images are to come.
#[must_use]
pub fn seeds(paths: &[PathBuf], seeds: &[Seed], view: Option<&View>) -> Vec<Report> {
    let content = |path: &Path| seeds.iter().find(|seed| seed.path == path);
    paths.iter().map(|path| seed(path, content(path), view)).collect()
}

/// What a data root holds apart from the seeds' images, once an apply is done.
#[must_use]
pub fn own_images(view: &View) -> Vec<NamedImage> {
    let changes = &view.changes;
    let names = changes.names.as_ref().unwrap_or(&view.held.names);
    let there = view.held.images.keys().filter(|id| {
        !changes.record.images.contains_key(id)
            && !changes.out.images.contains(id)
            && !changes.aside.images.contains(id)
    });
    let ids = there.chain(&changes.back.images);
    ids.map(|id| NamedImage { id: id.to_string(), names: names.names_of(id) }).collect()
}

fn seed(path: &Path, seed: Option<&Seed>, view: Option<&View>) -> Report {
    let manifest: Option<&Manifest> = seed.map(|seed| &seed.loaded.manifest);
    Report {
        path: path.to_owned(),
        digest: seed.map(|seed| seed.loaded.digest.to_string()),
        format: manifest.map(|manifest| manifest.format),
        driver: manifest.map(|manifest| manifest.driver.clone()),
        images: manifest
            .map_or(Vec::new(), |manifest| manifest.images.iter().map(|of| image(of, view)).collect()),
        layers: manifest.map_or(0, |manifest| manifest.layers.len()),
        size_bytes: manifest.map_or(0, |manifest| manifest.size_bytes),
    }
}

fn image(image: &SeedImage, view: Option<&View>) -> ImageReport {
    let state = match view {
        None => SeedImageState::Planned,
        Some(view) if view.changes.record.removed_images.contains(&image.id) => SeedImageState::Removed,
        Some(view) if view.changes.images.iter().any(|new| new.id == image.id) => SeedImageState::Planned,
        Some(view) if view.changes.record.images.contains_key(&image.id) => SeedImageState::Present,
        Some(_) => SeedImageState::Own,
    };
    ImageReport { image: NamedImage { id: image.id.to_string(), names: image.names.clone() }, state }
}

/// The same once an apply is done.
pub fn done(reports: &mut [Report]) {
    for image in reports.iter_mut().flat_map(|report| &mut report.images) {
        if image.state == SeedImageState::Planned {
            image.state = SeedImageState::Present;
        }
    }
}
