//! The steps of an apply, as data. `plan` prints them, [`crate::apply`] makes them.

use crate::data_root::{ENGINE_ID, NAME, RESERVE};
use crate::image::create::NewImage;
use crate::seed::options::SeedOptions;
use crate::store::{DRIVER_DIRECTORY, IMAGE_DIRECTORY};
use dind_contract::step;
use std::path::PathBuf;

/// One change of the machine. README.md explains each op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `make-directory`: one that is missing on the way to the image, or to the data root.
    MakeDirectory(PathBuf),
    /// `make-image`. It holds where an image exists.
    MakeImage {
        /// Its file.
        image: PathBuf,
        /// What it is made as; nothing for one that exists.
        new: Option<NewImage>,
    },
    /// `check-image`: the kernel has marked it as having errors, or it was not unmounted and has no journal.
    CheckImage {
        /// Its file.
        image: PathBuf,
    },
    /// `grow-image`.
    GrowImage {
        /// Its file.
        image: PathBuf,
        /// Its new size in bytes.
        size: u64,
        /// Whether it is mounted.
        mounted: bool,
    },
    /// `make-loop-node`: /dev seems to have no node of the device that the image will be attached to.
    ///
    /// The kernel chooses the device when it is asked, and reserves it for no process until a file is attached: of processes
    /// that start at once, all see the same free device, and all but one get another in the end. So no plan can name it,
    /// and the target is `/dev/loop*` in plan and apply alike. The step is listed where the node of the device that is
    /// free now is missing. It makes the node of the device that is free by then, or is skipped where that has one.
    /// `attach-image` takes this device; where it has to take another one that has no node, it makes that node itself.
    MakeLoopNode,
    /// `attach-image`, to a free loop device.
    AttachImage {
        /// Its file.
        image: PathBuf,
    },
    /// `stop-propagation`: makes a shared mount private, so that the mount of the image does not appear in its peers.
    StopPropagation {
        /// The mount that the data root lies in.
        point: PathBuf,
    },
    /// `adjust-reserve`: see [`super::reserve`].
    AdjustReserve {
        /// The data root, without links.
        data_root: PathBuf,
        /// Whether nothing is to be changed.
        holds: bool,
    },
    /// `name-node`: writes our host name into the data root, for the error of whoever wants it, too.
    NameNode {
        /// The data root, without links.
        data_root: PathBuf,
        /// The host name.
        name: String,
        /// Whether it is there already.
        named: bool,
    },
    /// `remove-engine-id`, from the clone of another engine's data root: each engine has an id of its own.
    RemoveEngineId {
        /// The data root, without links.
        data_root: PathBuf,
    },
    /// `attach-seed`: mounts a seed that is a file in the data root.
    AttachSeed {
        /// The seed.
        seed: PathBuf,
        /// The data root, without links.
        data_root: PathBuf,
        /// Whether it is mounted already.
        attached: bool,
    },
    /// `merge-seeds`: brings the images of seeds into the data root's image store, and takes out those whose seed is gone.
    MergeSeeds {
        /// The data root, without links.
        data_root: PathBuf,
        /// The seeds.
        options: SeedOptions,
        /// Whether nothing is to be changed.
        merged: bool,
    },
    /// `bind-seeds`: mounts the files of the seeds' layers in the data root, read-only.
    BindSeeds {
        /// The data root, without links.
        data_root: PathBuf,
        /// The seeds.
        options: SeedOptions,
        /// Whether all are mounted already.
        bound: bool,
    },
    /// `mount-image`. It holds where the image is mounted.
    MountImage {
        /// The data root, without links.
        target: PathBuf,
        /// Whether it is mounted already.
        mounted: bool,
        /// Whether the file system grows to the end of its device then: XFS can do that only while it is mounted.
        grows: bool,
    },
}

impl step::Step for Step {
    fn op(&self) -> &'static str {
        match self {
            Self::MakeDirectory(_) => "make-directory",
            Self::MakeImage { .. } => "make-image",
            Self::CheckImage { .. } => "check-image",
            Self::GrowImage { .. } => "grow-image",
            Self::MakeLoopNode => "make-loop-node",
            Self::AttachImage { .. } => "attach-image",
            Self::StopPropagation { .. } => "stop-propagation",
            Self::MountImage { .. } => "mount-image",
            Self::RemoveEngineId { .. } => "remove-engine-id",
            Self::AdjustReserve { .. } => "adjust-reserve",
            Self::NameNode { .. } => "name-node",
            Self::AttachSeed { .. } => "attach-seed",
            Self::MergeSeeds { .. } => "merge-seeds",
            Self::BindSeeds { .. } => "bind-seeds",
        }
    }

    fn target(&self) -> String {
        match self {
            Self::MakeDirectory(path) => path,
            Self::MakeImage { image, .. }
            | Self::CheckImage { image }
            | Self::GrowImage { image, .. }
            | Self::AttachImage { image } => image,
            Self::MakeLoopNode => return "/dev/loop*".to_owned(),
            Self::StopPropagation { point } => point,
            Self::MountImage { target, .. } => target,
            Self::AttachSeed { seed, .. } => seed,
            Self::MergeSeeds { data_root, .. } => {
                return data_root.join(IMAGE_DIRECTORY).display().to_string();
            }
            Self::BindSeeds { data_root, .. } => {
                return data_root.join(DRIVER_DIRECTORY).display().to_string();
            }
            Self::RemoveEngineId { data_root } => return data_root.join(ENGINE_ID).display().to_string(),
            Self::AdjustReserve { data_root, .. } => return data_root.join(RESERVE).display().to_string(),
            Self::NameNode { data_root, .. } => return data_root.join(NAME).display().to_string(),
        }
        .display()
        .to_string()
    }

    fn holds(&self) -> bool {
        matches!(
            self,
            Self::MakeImage { new: None, .. }
                | Self::MountImage { mounted: true, .. }
                | Self::AdjustReserve { holds: true, .. }
                | Self::NameNode { named: true, .. }
                | Self::AttachSeed { attached: true, .. }
                | Self::MergeSeeds { merged: true, .. }
                | Self::BindSeeds { bound: true, .. }
        )
    }
}
