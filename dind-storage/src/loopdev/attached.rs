//! Devices that are attached already, to our files or to those of others.

use super::ioctl::{AUTOCLEAR, DIRECT_IO, READ_ONLY, raw, status};
use super::node::{self, Node};
use dind_contract::Fault;
use loopdev::LoopDevice;
use nix::errno::Errno;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What a device is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backing {
    /// `st_dev` of the file.
    pub device: u64,
    /// `st_ino` of the file.
    pub inode: u64,
    /// Whether the device bypasses the page cache.
    pub direct_io: bool,
}

/// A device that another node has attached read-only to the same whole file: who mounts it shares its page cache. It stays as long
/// as this value is there. Nothing where there is none, or none that may be opened.
#[must_use]
pub fn shared(file: &File) -> Option<(File, Node)> {
    let meta = file.metadata().ok()?;
    let is_same = |device: &File| {
        status(device).is_ok_and(|info| {
            (info.device, info.inode) == (meta.dev(), meta.ino())
                && (info.offset, info.size_limit) == (0, 0)
                && info.flags & (READ_ONLY | AUTOCLEAR) == READ_ONLY | AUTOCLEAR
        })
    };
    let blocks = std::fs::read_dir("/sys/block").ok()?.flatten();
    let numbers = blocks.filter_map(|block| block.file_name().to_str()?.strip_prefix("loop")?.parse().ok());
    numbers.filter(|number| backing_file(*number).exists()).find_map(|number| {
        let node = node::open(number).ok()?;
        // Open, it cannot become another file's.
        let device = File::open(node.reachable()).ok().filter(is_same);
        if device.is_none() {
            node.remove_if_made();
        }
        device.map(|device| (device, node))
    })
}

/// What a loop device is attached to, by number; nothing for a free one.
///
/// # Errors
/// The device cannot be opened or queried.
pub fn backing(number: i32) -> Result<Option<Backing>, Fault> {
    let node = node::open(number)?;
    let opened = File::open(node.reachable()).map_err(|error| raw(&error));
    node.remove_if_made();
    let device = match opened {
        Ok(device) => device,
        Err(Errno::ENXIO) => return Ok(None),
        Err(error) => return Err(node.denied(error)),
    };
    match status(&device) {
        Ok(info) => Ok(Some(Backing {
            device: info.device,
            inode: info.inode,
            direct_io: info.flags & DIRECT_IO != 0,
        })),
        Err(Errno::ENXIO) => Ok(None),
        Err(error) => Err(node.refused(error)),
    }
}

/// Makes a device notice that its file has become longer.
///
/// # Errors
/// The device cannot be opened, or refuses.
pub fn read_capacity(number: i32) -> Result<(), Fault> {
    let node = node::open(number)?;
    let grown = LoopDevice::open(node.reachable()).and_then(|device| device.set_capacity());
    node.remove_if_made();
    grown.map_err(|error| node.refused(raw(&error)))
}

/// The file in sysfs with the path of a device's file; it exists as long as the device is attached.
#[must_use]
pub fn backing_file(number: i32) -> PathBuf {
    PathBuf::from(format!("/sys/block/loop{number}/loop/backing_file"))
}
