//! Seeds that are a file system in a file. Its loop device is read-only, so nobody in a node can change it, not even root; nodes that
//! use the same file mount the same device, so they share its pages in memory.

use super::manifest;
use super::record;
use crate::loopdev::{self, node::Node};
use crate::store::digest::Digest;
use crate::{fault, mount, safe_path};
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{Mount, mount_at};
use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag};
use nix::mount::MsFlags;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file systems that a seed can have: where each has its magic number, and that (linux/magic.h, on disk).
const FILESYSTEMS: [(&str, u64, [u8; 4]); 2] =
    [("erofs", 1024, [0xE2, 0xE1, 0xF5, 0xE0]), ("squashfs", 0, *b"hsqs")];

/// Where such seeds are mounted in a data root.
#[must_use]
pub fn directory(data_root: &Path) -> PathBuf {
    record::directory(data_root).join("mounts")
}

/// Where a seed is mounted: the same place at every start, whatever other seeds there are.
#[must_use]
pub fn point(data_root: &Path, seed: &Path) -> PathBuf {
    directory(data_root).join(Digest::of(seed.as_os_str().as_bytes()).short())
}

/// Whether this very file is mounted there.
#[must_use]
pub fn is_attached(root: &Root, data_root: &Path, seed: &Path, mounts: &[Mount]) -> bool {
    let Some(mount) = mount_at(mounts, point(data_root, seed)) else { return false };
    let number = mount.source.strip_prefix("/dev/loop").and_then(|number| number.parse().ok());
    let Some(number) = number.filter(|_| mount.device.0 == loopdev::MAJOR && !mount.is_writable()) else {
        return false;
    };
    if !root.is_host() {
        return true;
    }
    let backing = loopdev::backing(number).ok().flatten();
    let file = fs::symlink_metadata(seed).ok();
    backing
        .zip(file)
        .is_some_and(|(backing, file)| (backing.device, backing.inode) == (file.dev(), file.ino()))
}

/// What was made for a seed.
#[derive(Debug)]
pub struct Attached {
    point: PathBuf,
    made: Vec<PathBuf>,
}

impl Attached {
    /// Takes it back. False: something is left.
    #[must_use = "it says whether everything is undone"]
    pub fn undo(self) -> bool {
        let unmounted = mount::unmount(&self.point).is_ok();
        self.made.iter().rev().filter(|path| fs::remove_dir(path).is_err()).count() == 0 && unmounted
    }
}

/// Mounts the file system of a seed in a data root.
///
/// # Errors
/// It has none that we know, somebody writes to it, or the kernel refuses it.
pub fn attach(data_root: &Path, seed: &Path) -> Result<Attached, Fault> {
    let invalid = |error: io::Error| manifest::invalid(seed, error);
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(seed).map_err(invalid)?;
    let filesystem = filesystem_of(&file).map_err(invalid)?;
    let filesystem =
        filesystem.ok_or_else(|| manifest::invalid(seed, "it holds neither erofs nor squashfs"))?;
    // The device keeps the open file, and with it the lock: who writes to an image of ours asks for it.
    #[allow(deprecated)] // nix's `Flock` unlocks when it is dropped
    nix::fcntl::flock(file.as_raw_fd(), FlockArg::LockSharedNonblock).map_err(|error| {
        let fault = fault::IMAGE_IN_USE.cannot("use the seed", seed.display(), error.desc());
        fault.hint("wait until whoever writes to it has finished")
    })?;
    let point = point(data_root, seed);
    let mut made = Vec::new();
    let directories = [record::directory(data_root), directory(data_root), point.clone()];
    let attached = make_directories(&directories, &mut made)
        .map_err(|error| {
            fault::DIRECTORY_NOT_MADE.cannot("make", point.display(), error).hint("look at the data root")
        })
        .and_then(|()| mount_at_point(&file, filesystem, &point, seed));
    match attached {
        Ok(()) => Ok(Attached { point, made }),
        Err(fault) => {
            made.iter().rev().for_each(|path| drop(fs::remove_dir(path)));
            Err(fault)
        }
    }
}

/// What was there before, an older version of the seed, goes; binds of it stay until they are replaced.
fn mount_at_point(file: &File, filesystem: &str, point: &Path, seed: &Path) -> Result<(), Fault> {
    while mount::unmount(point).is_ok() {}
    match loopdev::shared(file) {
        Some((device, node)) => {
            let mounted = mount_node(&node, filesystem, point, seed);
            node.remove_if_made();
            drop(device);
            mounted
        }
        None => {
            let attached = loopdev::attach_read_only(file)?;
            let mounted = mount_node(&attached.node, filesystem, point, seed);
            if mounted.is_err() {
                let _ = attached.detach();
            }
            mounted
        }
    }
}

fn mount_node(node: &Node, filesystem: &str, point: &Path, seed: &Path) -> Result<(), Fault> {
    let place = safe_path::open_directory(point).map_err(|error| safe_path::unusable(point, error))?;
    // Set-user-id programs and device files in it are for containers, which see them in overlays: those ask their own mounts.
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let place = safe_path::by_descriptor(place.as_fd());
    mount::with_flags(&node.path, &place, filesystem, flags).map_err(|error| match error {
        Errno::ENODEV => fault::SEED_UNSUITABLE
            .cannot("use the seed", seed.display(), format_args!("the kernel does not support {filesystem}"))
            .hint(format!("load it on the host, `modprobe {filesystem}`, or seal with another --format")),
        Errno::EINVAL | Errno::EUCLEAN => {
            manifest::invalid(seed, format_args!("its {filesystem} is damaged"))
        }
        error => mount::failed("mount the seed on", point, error.desc()),
    })?;
    mount::make_private(point).map_err(|error| mount::failed("make private", point, error.desc()))
}

fn make_directories(paths: &[PathBuf], made: &mut Vec<PathBuf>) -> io::Result<()> {
    for path in paths {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => made.push(path.clone()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn filesystem_of(file: &File) -> io::Result<Option<&'static str>> {
    for (name, offset, magic) in FILESYSTEMS {
        let mut found = [0; 4];
        match file.read_exact_at(&mut found, offset) {
            Ok(()) if found == magic => return Ok(Some(name)),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}
