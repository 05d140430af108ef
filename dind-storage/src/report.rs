//! `result` of the documents.

use dind_contract::Engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Docker's storage drivers, as `dockerd --storage-driver` spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the names are Docker's
pub enum Driver {
    Overlay2,
    Aufs,
    Btrfs,
    Zfs,
    FuseOverlayfs,
    Vfs,
}

impl Driver {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Overlay2, Self::Aufs, Self::Btrfs, Self::Zfs, Self::FuseOverlayfs, Self::Vfs];

    /// As Docker spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::Aufs => "aufs",
            Self::Btrfs => "btrfs",
            Self::Zfs => "zfs",
            Self::FuseOverlayfs => "fuse-overlayfs",
            Self::Vfs => "vfs",
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where an engine keeps its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageStore {
    /// The engine's own store, whose layers are those of a graph driver.
    Graph,
    /// containerd's, whose layers are those of a snapshotter.
    Containerd,
}

/// Why a store was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoreReason {
    /// It was asked for.
    Asked,
    /// The data root has it.
    Kept,
    /// The engine chooses it by itself.
    EngineDefault,
    /// The engine has no other.
    EngineVersion,
    /// The version of the engine is not known.
    EngineUnknown,
    /// The driver was asked for, or containerd has no such snapshotter.
    Driver,
    /// Seeds are for this store.
    Seeds,
    /// The image is not mounted yet; an apply looks at what is in it.
    NotMounted,
}

/// The store of the engine's images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Store {
    /// Which one.
    pub name: ImageStore,
    /// Why.
    pub reason: StoreReason,
    /// The same in words, where there is more to say.
    pub detail: Option<String>,
    /// containerd's snapshotter, which the engine takes for its storage driver.
    pub snapshotter: Option<String>,
}

/// What lies beneath the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backing {
    /// The data root as it is.
    Native,
    /// An image, mounted on the data root through a loop device.
    Loop,
}

/// How it is known whether overlay works in the data root's own file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeSource {
    /// Overlay was mounted there and used: files were written, renamed and deleted through it.
    Run,
    /// The captured machine holds the verdict.
    Captured,
    /// Assumed from the file system's type: a privilege is missing, or the machine is a captured one.
    NotRun,
    /// The image is mounted already, or the options leave no such choice.
    NotNeeded,
}

/// What the data root lies on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Storage {
    /// Where the engine keeps its data.
    pub data_root: PathBuf,
    /// The storage driver to use; none after a release.
    pub driver: Option<Driver>,
    /// Where the engine keeps its images; none after a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
    /// What lies beneath the driver.
    pub backing: Backing,
    /// The file system that the data root's files are in, once applied.
    pub filesystem: String,
    /// Where the verdict about overlay comes from.
    pub probe: ProbeSource,
    /// The loop image, where the backing is one.
    pub image: Option<Image>,
    /// The file that whoever runs an engine here holds a lock on (F_SETLK or flock(2)), so that no second node does; nothing where
    /// the image has its own lock.
    pub lock: Option<PathBuf>,
    /// What was considered before, in order, and why it was passed over.
    pub passed_over: Vec<PassedOver>,
    /// Space in the file system that holds the data: the data root's own, or until the image is mounted that of its directory.
    pub space: Option<Space>,
    /// Health of that file system, where it is mounted on the data root or the data root is used as it is.
    pub health: Option<Health>,
    /// The seeds that were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<Seed>,
    /// Images that the data root has apart from those of seeds, where seeds are or were used and the data root can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_images: Option<Vec<NamedImage>>,
}

impl Storage {
    /// What the engine has to be configured with.
    #[must_use]
    pub fn engine(&self) -> Engine {
        let mut engine = Engine::default();
        engine.set("data-root", self.data_root.display().to_string());
        let snapshotter = self.store.as_ref().and_then(|store| store.snapshotter.as_deref());
        if let Some(driver) = snapshotter.or(self.driver.map(Driver::name)) {
            engine.set("storage-driver", driver);
        }
        if snapshotter.is_some() {
            engine.set("features", serde_json::json!({"containerd-snapshotter": true}));
        }
        engine
    }
}

/// A loop image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its file system.
    pub filesystem: String,
    /// Whether less than its size is allocated.
    pub sparse: bool,
    /// The loop device, while it is attached.
    pub device: Option<PathBuf>,
    /// Whether the device bypasses the page cache, while it is attached and where that is known.
    pub direct_io: Option<bool>,
    /// The golden image that it is cloned from, where it does not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// How that was done, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloned: Option<Cloned>,
}

/// How an image was cloned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cloned {
    /// It shares the blocks of the golden image until they are written to.
    Reflink,
    /// The blocks that are in use were copied.
    Copy,
}

/// A combination that does not work here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PassedOver {
    /// The driver.
    pub driver: Driver,
    /// What would have been beneath it.
    pub backing: Backing,
    /// Why not.
    pub reason: String,
}

/// A seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seed {
    /// As it was given.
    pub path: PathBuf,
    /// Digest of its manifest; nothing, here and below, for a file that is not mounted yet.
    pub digest: Option<String>,
    /// Version of its layout.
    pub format: Option<u32>,
    /// The storage driver that has made its layers.
    pub driver: Option<String>,
    /// Its images.
    pub images: Vec<SeedImage>,
    /// How many layers it has.
    pub layers: usize,
    /// Size of their files in bytes.
    pub size_bytes: u64,
}

/// An image of a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeedImage {
    /// Its id and names.
    #[serde(flatten)]
    pub image: NamedImage,
    /// What has become of it in this data root.
    pub state: SeedImageState,
}

/// What has become of a seed's image in a data root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeedImageState {
    /// An apply brings it.
    Planned,
    /// It is there.
    Present,
    /// The user has removed it.
    Removed,
    /// The data root has it without the seed.
    Own,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedImage {
    /// Its id.
    pub id: String,
    /// Its names.
    pub names: Vec<String>,
}

/// Health of a mounted file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether it cannot be written to.
    pub read_only: bool,
    /// How many errors it has met since it was last repaired, where it counts them.
    pub errors: Option<u64>,
}

/// Space in a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Space {
    /// Its size, in bytes.
    pub total_bytes: u64,
    /// What is in use, in bytes.
    pub used_bytes: u64,
    /// What can still be written, in bytes.
    pub available_bytes: u64,
    /// What an apply reserves of it for a new image, in bytes.
    pub needed_bytes: u64,
    /// How many files it can have; 0 where it does not count them.
    pub total_inodes: u64,
    /// How many more files can be made.
    pub available_inodes: u64,
}
