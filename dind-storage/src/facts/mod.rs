//! What the machine is like. Everything is read below a root, so that a captured machine can stand in for a real one.
//!
//! [`mounts`] finds our image on the data root, [`content`] whose images are in it, [`directory`] describes the data root and the image's directory,
//! [`existing_image`] looks at the file under the image's name and [`golden_image`] at the one it would be cloned from, [`occupant`] finds out whether another node has the data root,
//! [`overlay_probe`] tries overlay, [`loop_node`] looks for a
//! device node, and [`health`] reads the state of a mounted file system.

pub mod content;
pub mod directory;
pub mod existing_image;
pub mod golden_image;
pub mod health;
pub mod loop_node;
pub mod mounts;
pub mod occupant;
pub mod overlay_probe;

use crate::data_root::RESERVE;
use crate::image::inspect::ImageInfo;
use crate::image::{create, identity};
use crate::options::Options;
use crate::report::{Health, ProbeSource};
use crate::seed::facts::SeedFacts;
use crate::{fault, privileges, seed};
use content::Content;
use dind_contract::Fault;
use dind_system::{EngineVersion, Root, proc};
use directory::Directory;
use golden_image::GoldenImage;
use mounts::MountedImage;
use occupant::Occupant;
use overlay_probe::Verdict;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

const FILESYSTEMS: &str = "/proc/filesystems";

/// What the machine is like.
#[derive(Clone, Debug)]
pub struct Facts {
    /// File systems that the kernel knows by now.
    pub kernel: BTreeSet<String>,
    /// The data root, with links resolved once.
    pub data_root: Directory,
    /// Who has the data root, or had it last.
    pub occupant: Occupant,
    /// Whose images are in the data root, as it is now.
    pub content: Content,
    /// What is known of the engine that will use it.
    pub engine: EngineVersion,
    /// How many files the reserve in the data root has.
    pub reserve: usize,
    /// Whether overlay works in the data root's file system.
    pub overlay: Verdict,
    /// Where that verdict comes from.
    pub probe: ProbeSource,
    /// Whether /dev/fuse can be opened.
    pub fuse: bool,
    /// Whether this is a user namespace, whose root the kernel lets mount no file system of a block device.
    pub in_user_namespace: bool,
    /// Health of the file system that the data root lies on.
    pub health: Health,
    /// The image on the data root, if it is mounted there.
    pub mounted: Option<MountedImage>,
    /// Whether the kernel lets us grow a mounted ext4.
    pub grows_mounted_ext4: bool,
    /// The file under the image's name; the fault is why it cannot be used.
    pub image: Option<Result<ImageInfo, Fault>>,
    /// The golden image, where one is named and there is no image yet; the fault is why it cannot be cloned.
    pub golden: Option<Result<GoldenImage, Fault>>,
    /// Why no new image can be made: the program that makes it, or gives a clone its UUID, is not installed.
    pub no_tool: Option<Fault>,
    /// The directory of the image.
    pub image_directory: Directory,
    /// What seeds there are, and what they have brought; the fault is why they cannot be used.
    pub seeds: Result<SeedFacts, Fault>,
    /// Whether /dev has no node of the loop device that the kernel would give out now.
    pub loop_node_missing: bool,
}

/// Looks at the machine. The overlay probe mounts in a namespace of its own and leaves nothing.
///
/// # Errors
/// What every machine has cannot be read.
pub fn observe(root: &Root, options: &Options) -> Result<Facts, Fault> {
    let path = directory::resolved(root, &options.data_root);
    let mounts = mounts::read(root)?;
    let data_root = directory::observe(root, &mounts, path)?;
    let directory = options.image.parent().unwrap_or(Path::new("/")).to_owned();
    let image_directory = directory::observe(root, &mounts, directory)?;
    let mounted = mounts::image_on(root, &mounts, &data_root.path, &options.image);
    let (overlay, probe) = if mounted.is_some() || !options.may_be_native_overlay() {
        (Verdict::NotRun("the data root is not used as it is".to_owned()), ProbeSource::NotNeeded)
    } else {
        overlay_probe::verdict(root, &data_root.path)?
    };
    // After the probe: its mount makes the kernel load overlay, where that is a module.
    let kernel = root.read(FILESYSTEMS).map_err(|error| {
        fault::FACTS_UNREADABLE.cannot("read", FILESYSTEMS, error).hint("mount /proc in the container")
    })?;
    let image = existing_image::observe(root, &options.image);
    let golden = options.image_from.as_ref().filter(|_| image.is_none() && mounted.is_none());
    let golden = golden.map(|path| golden_image::observe(root, &mounts, path, &image_directory));
    let content = content::observe(root, &data_root.path);
    Ok(Facts {
        engine: content::engine(root, options, &content),
        content,
        kernel: parse_filesystems(&kernel),
        overlay,
        probe,
        fuse: has_fuse(root),
        in_user_namespace: proc::in_user_namespace(root),
        health: health::of(root, &data_root.mount),
        mounted,
        grows_mounted_ext4: privileges::can_grow_mounted_ext4(root)?,
        image,
        occupant: occupant::observe(root, &data_root.path),
        reserve: count_reserve(root, &data_root.path),
        no_tool: if root.is_host() { no_tool(options, golden.as_ref()) } else { None },
        golden,
        seeds: seed::facts::observe(root, &data_root.path, &mounts, &options.seeds),
        data_root,
        image_directory,
        loop_node_missing: loop_node::is_missing(root),
    })
}

/// Why no new image can be made.
fn no_tool(options: &Options, golden: Option<&Result<GoldenImage, Fault>>) -> Option<Fault> {
    match golden {
        Some(Ok(golden)) => identity::program(golden.info.superblock.filesystem).err(),
        _ => create::mkfs(options.filesystem).err(),
    }
}

/// How many files the reserve in a data root has.
#[must_use]
pub fn count_reserve(root: &Root, data_root: &Path) -> usize {
    root.list(data_root.join(RESERVE)).map_or(0, |names| names.len())
}

/// Opened rather than looked for: there are nodes that the device cgroup, a `nodev` mount or their mode refuses. Opening it does
/// nothing until a mount names the descriptor (fuse(4)).
fn has_fuse(root: &Root) -> bool {
    let path = root.path("/dev/fuse");
    if root.is_host() { File::options().read(true).write(true).open(path).is_ok() } else { path.exists() }
}

fn parse_filesystems(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_the_kernel() {
        let found = parse_filesystems("nodev\tsysfs\n\text4\nnodev\toverlay\n\n");
        assert!(found.contains("ext4") && found.contains("overlay") && found.contains("sysfs"));
        assert_eq!(found.len(), 3);
    }
}
