//! The command line. Values that users can get wrong stay text here; [`crate::options`] reads them.

use clap::{Args, Parser, Subcommand};
use dind_contract::cli::Common;

/// Finds out what can carry the Docker data root, and prepares it.
#[derive(Debug, Parser)]
#[command(name = "dind-storage", version, about)]
pub struct Cli {
    /// Shared by all tools.
    #[command(flatten)]
    pub common: Common,
    /// What is wanted.
    #[command(flatten)]
    pub wanted: Wanted,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Verb {
    /// Say what `apply` would do; change nothing.
    Plan,
    /// Prepare the data root.
    Apply,
    /// Undo an apply: unmount the image and let go of its loop device. The image stays.
    Release,
}

impl Verb {
    /// As it stands in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Release => "release",
        }
    }
}

/// What is wanted, as text.
#[derive(Args, Clone, Debug, Default)]
pub struct Wanted {
    /// Where the Docker Engine keeps its data [default: /var/lib/docker].
    #[arg(long, value_name = "DIR", env = "DIND_DATA_ROOT", global = true)]
    pub data_root: Option<String>,
    /// The loop image, should one be needed [default: /data/docker].
    #[arg(long, value_name = "FILE", env = "DIND_STORAGE_IMAGE", global = true)]
    pub image: Option<String>,
    /// Size of the loop image: a plain number counts GiB; also 20GiB, 512MiB, 5GB [default: 5].
    #[arg(long, value_name = "SIZE", env = "VAR_LIB_DOCKER_SIZE", allow_hyphen_values = true, global = true)]
    pub size: Option<String>,
    /// auto, overlay2, aufs, btrfs, zfs, fuse-overlayfs or vfs [default: auto].
    #[arg(long, value_name = "NAME", env = "DIND_STORAGE_DRIVER", global = true)]
    pub driver: Option<String>,
    /// auto, native (the data root as it is) or loop (an image, which also bounds the disk) [default: auto].
    #[arg(long, value_name = "HOW", env = "DIND_STORAGE_BACKING", global = true)]
    pub backing: Option<String>,
    /// File system of a new image: ext4 or xfs [default: ext4].
    #[arg(long, value_name = "NAME", env = "DIND_STORAGE_FS", global = true)]
    pub filesystem: Option<String>,
    /// Whether a new image only promises its space instead of reserving it [default: false].
    #[arg(long, value_name = "BOOL", env = "DIND_STORAGE_SPARSE", global = true)]
    pub sparse: Option<String>,
}
