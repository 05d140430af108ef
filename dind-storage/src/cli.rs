//! The command line. Values that users can get wrong stay text here; [`crate::options`] parses them.

use clap::{Args, Parser, Subcommand};
use dind_contract::cli::{Machine, Output, Printing};

/// Finds a storage driver for the Docker data root, and prepares the data root for it.
#[derive(Debug, Parser)]
#[command(name = "dind-storage", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Print what `apply` would do; change nothing.
    Plan {
        /// What is wanted.
        #[command(flatten)]
        texts: Texts,
        /// Of which machine.
        #[command(flatten)]
        machine: Machine,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Prepare the data root.
    Apply {
        /// What is wanted.
        #[command(flatten)]
        texts: Texts,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Undo an apply: unmount the image and free its loop device. The image stays.
    Release {
        /// What was applied.
        #[command(flatten)]
        texts: ReleaseTexts,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Make a seed of the images in a data root whose engine is stopped.
    Seal {
        /// What to make a seed of.
        #[command(flatten)]
        texts: SealTexts,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
}

impl Verb {
    /// The verb as documents spell it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "plan",
            Self::Apply { .. } => "apply",
            Self::Release { .. } => "release",
            Self::Seal { .. } => "seal",
        }
    }

    /// How its document is printed.
    #[must_use]
    pub fn output(&self) -> Option<Output> {
        match self {
            Self::Plan { printing, .. }
            | Self::Apply { printing, .. }
            | Self::Release { printing, .. }
            | Self::Seal { printing, .. } => printing.output(),
        }
    }
}

/// The options, as text.
#[derive(Args, Clone, Debug, Default)]
pub struct Texts {
    /// Where the Docker Engine keeps its data [default: /var/lib/docker].
    #[arg(long, value_name = "DIR", env = "DIND_DATA_ROOT")]
    pub data_root: Option<String>,
    /// File of the loop image, if one is needed [default: /data/docker].
    #[arg(long, value_name = "FILE", env = "DIND_STORAGE_IMAGE")]
    pub image: Option<String>,
    /// Size of the loop image: a plain number is in GiB; also 20GiB, 512MiB, 5GB [default: 5].
    #[arg(long, value_name = "SIZE", env = "VAR_LIB_DOCKER_SIZE", allow_hyphen_values = true)]
    pub size: Option<String>,
    /// auto, overlay2, aufs, btrfs, zfs, fuse-overlayfs or vfs [default: auto].
    #[arg(long, value_name = "NAME", env = "DIND_STORAGE_DRIVER")]
    pub driver: Option<String>,
    /// auto, graph (the graph driver's own) or containerd: where the engine keeps its images [default: auto].
    #[arg(long, value_name = "STORE", env = "DIND_STORAGE_STORE")]
    pub store: Option<String>,
    /// Version of the engine, such as 24.0.7 [default: that of the dockerd on PATH, as far as it has to be known].
    #[arg(long, value_name = "VERSION", env = "DIND_ENGINE_VERSION", allow_hyphen_values = true)]
    pub engine_version: Option<String>,
    /// Whether the engine's settings are printed as flags of dockerd, which has none for some of them.
    #[arg(skip)]
    pub as_flags: bool,
    /// auto, native (the data root as it is) or loop (an image, which also limits disk usage) [default: auto].
    #[arg(long, value_name = "BACKING", env = "DIND_STORAGE_BACKING")]
    pub backing: Option<String>,
    /// File system of a new image: ext4 or xfs [default: ext4].
    #[arg(long, value_name = "NAME", env = "DIND_STORAGE_FS")]
    pub filesystem: Option<String>,
    /// A loop image that a new image is cloned from, instead of being made empty [default: none].
    #[arg(long, value_name = "FILE", env = "DIND_STORAGE_IMAGE_FROM")]
    pub image_from: Option<String>,
    /// Create a new image as a sparse file instead of reserving its space [default: false].
    #[arg(long, value_name = "BOOL", env = "DIND_STORAGE_SPARSE")]
    pub sparse: Option<String>,
    /// Seeds, which are directories or file system images with images for the engine, separated by colons.
    #[arg(long, value_name = "PATHS", env = "DIND_STORAGE_SEED")]
    pub seed: Option<String>,
    /// Bring back the seeds' images that were removed from this data root [default: false].
    #[arg(long, value_name = "BOOL", env = "DIND_STORAGE_SEED_RESTORE")]
    pub seed_restore: Option<String>,
    /// refuse or set-aside: what happens to containers that need a seed that is gone [default: refuse].
    #[arg(long, value_name = "WHAT", env = "DIND_STORAGE_SEED_MISSING")]
    pub seed_missing: Option<String>,
}

/// What was applied, as text.
#[derive(Args, Clone, Debug, Default)]
pub struct ReleaseTexts {
    /// Where the Docker Engine keeps its data [default: /var/lib/docker].
    #[arg(long, value_name = "DIR", env = "DIND_DATA_ROOT")]
    pub data_root: Option<String>,
    /// File of the loop image, if there is one [default: /data/docker].
    #[arg(long, value_name = "FILE", env = "DIND_STORAGE_IMAGE")]
    pub image: Option<String>,
    /// auto, native or loop: with loop, a mount that is not of the image is reported [default: auto].
    #[arg(long, value_name = "BACKING", env = "DIND_STORAGE_BACKING")]
    pub backing: Option<String>,
}

/// What to make a seed of, as text.
#[derive(Args, Clone, Debug, Default)]
pub struct SealTexts {
    /// Where the stopped engine has kept its data [default: /var/lib/docker].
    #[arg(long, value_name = "DIR", env = "DIND_DATA_ROOT")]
    pub data_root: Option<String>,
    /// What the seed is to be called: a directory, or a file with erofs and squashfs. There must be nothing of that name.
    #[arg(long, value_name = "SEED")]
    pub to: String,
    /// The images, by name or id as docker takes them, separated by commas or each with a flag [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub images: Vec<String>,
    /// dir, or a file system in a file: erofs or squashfs [default: dir].
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}
