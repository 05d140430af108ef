//! Whose images are in a data root: those of a graph driver, of containerd, or of both.

use crate::options::Options;
use crate::report::ImageStore;
use dind_system::{EngineVersion, Root};
use std::path::Path;

/// Where containerd keeps its data in a data root, whoever has started it there: dind-launch, or dockerd itself (moby,
/// daemon/command, `getContainerdDaemonOpts`).
const CONTAINERD: &str = "containerd/daemon";

/// The prefix of the directories in it that snapshotters have.
const SNAPSHOTTER: &str = "io.containerd.snapshotter.v1.";

/// Where the graph drivers' images are described, by driver.
const IMAGES: &str = "image";

/// Whose images are in a data root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// There are images or containers of a graph driver.
    pub graph: bool,
    /// An engine with a graph driver has run here, even if nothing of it is left.
    pub graph_before: bool,
    /// There are images or containers in containerd's store.
    pub containerd: bool,
}

/// Looks at a data root.
///
/// In containerd's content store alone there may be manifests of a graph driver's images, too; snapshots are only those of its
/// own images and containers.
#[must_use]
pub fn observe(root: &Root, data_root: &Path) -> Content {
    let images = data_root.join(IMAGES);
    let drivers = root.list(&images).unwrap_or_default();
    let holds = |driver: &String, what: &str| has_entries(root, &images.join(driver).join(what));
    Content {
        graph: drivers
            .iter()
            .any(|driver| holds(driver, "imagedb/content/sha256") || holds(driver, "layerdb/mounts")),
        graph_before: drivers.iter().any(|driver| root.exists(images.join(driver).join("layerdb"))),
        containerd: has_containerd_images(root, data_root),
    }
}

/// Whether containerd's store in a data root holds a layer.
#[must_use]
pub fn has_containerd_images(root: &Root, data_root: &Path) -> bool {
    let containerd = data_root.join(CONTAINERD);
    let names = root.list(&containerd).unwrap_or_default();
    let mut snapshotters = names.iter().filter(|name| name.starts_with(SNAPSHOTTER));
    snapshotters.any(|name| has_entries(root, &containerd.join(name).join("snapshots")))
}

/// What is known of the engine's version, and as much as has to be: that of one with images in containerd matters to its minor
/// number, and the others show at no cost whether they are 29.
#[must_use]
pub fn engine(root: &Root, options: &Options, content: &Content) -> EngineVersion {
    match options.engine {
        Some(engine) => engine,
        None if !root.is_host() => EngineVersion::Unknown,
        None if options.store == Some(ImageStore::Containerd) || content.containerd => exact(),
        None => EngineVersion::of_installed(),
    }
}

/// The version that matters for containerd's store: one from 29 on is known well enough.
#[must_use]
pub fn exact() -> EngineVersion {
    match EngineVersion::of_installed() {
        EngineVersion::From29 => EngineVersion::From29,
        other => other.asked(),
    }
}

fn has_entries(root: &Root, path: &Path) -> bool {
    root.list(path).is_ok_and(|names| !names.is_empty())
}
