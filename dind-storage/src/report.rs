//! `result` of the documents.

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
    /// Overlay was mounted there, written to, renamed in and deleted from.
    Run,
    /// The captured machine says so.
    Captured,
    /// Guessed from the file system's name: there was no privilege, or the machine is a captured one.
    NotRun,
    /// Nobody needs to know: the image is mounted already, or the options leave no such choice.
    NotNeeded,
}

/// What carries the data root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Storage {
    /// Where the engine keeps its data.
    pub data_root: PathBuf,
    /// The storage driver to use; none after a release.
    pub driver: Option<Driver>,
    /// What lies beneath it.
    pub backing: Backing,
    /// The file system that the data root's files are in, once applied.
    pub filesystem: String,
    /// How the verdict about overlay came about.
    pub probe: ProbeSource,
    /// The loop image, when there is one beneath.
    pub image: Option<Image>,
    /// What was tried before, in order, and why it was passed over.
    pub passed_over: Vec<PassedOver>,
    /// Room in the file system that holds the data: the data root's own, or the image's folder until it is mounted.
    pub space: Option<Space>,
    /// How that file system fares, where it is mounted on the data root or carries it as it is.
    pub health: Option<Health>,
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
    /// Whether it holds less than its size.
    pub sparse: bool,
    /// The loop device, while it is attached.
    pub device: Option<PathBuf>,
    /// Whether the device goes past the page cache, while it is attached and where that is known.
    pub direct_io: Option<bool>,
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

/// How the mounted file system fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether it cannot be written to.
    pub read_only: bool,
    /// How many errors it has met since it was last repaired; nothing where it does not tell.
    pub errors: Option<u64>,
}

/// Room in a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Space {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What is in use, in bytes.
    pub used_bytes: u64,
    /// What can still be written, in bytes.
    pub available_bytes: u64,
    /// What an apply takes of it at once, in bytes.
    pub needed_bytes: u64,
}
