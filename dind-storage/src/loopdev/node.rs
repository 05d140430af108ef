//! `/dev/loopN`: found, made where it is missing, and refused where it is anything else.
//!
//! In a container /dev is a copy made at start, so the kernel's newer devices have no name there (moby/moby#27886).
//! And it may hold whatever an image or a process of the container put there, so nothing is opened unchecked.

use crate::{fault, safe_path};
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_at};
use nix::sys::stat::{Mode, SFlag, fstat, makedev, mknod};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The `docker run` flags that give a container loop devices and nothing else.
pub const FLAGS: &str = "--device /dev/loop-control --device-cgroup-rule 'b 7:* rwm'";

/// A loop device's node: a place, not yet an open device.
#[derive(Debug)]
pub struct Node {
    place: OwnedFd,
    /// `/dev/loopN`.
    pub path: PathBuf,
    /// The device's number.
    pub rdev: u64,
    /// Whether it was missing.
    pub made: bool,
}

/// Finds or makes a device's node.
///
/// # Errors
/// The kernel has no such device, the node may not be made, or it is something else.
pub fn open(number: i32) -> Result<Node, Fault> {
    let path = PathBuf::from(format!("/dev/loop{number}"));
    let listed = format!("/sys/block/loop{number}/dev");
    // The minor number is not the device's own where the kernel's max_part is set.
    let rdev = fs::read_to_string(&listed).ok().and_then(|text| {
        let (major, minor) = text.trim().split_once(':')?;
        Some(makedev(major.parse().ok()?, minor.parse().ok()?))
    });
    let rdev = rdev.ok_or_else(|| {
        let fault = fault::FACTS_UNREADABLE.cannot("read", &listed, "it does not hold a device number");
        fault.hint("mount /sys in the container")
    })?;
    let (place, made) = find_or_make(&path, rdev)?;
    let node = Node { place, path, rdev, made };
    let found = fstat(&node.place).map_err(|error| denied(&node.path, error))?;
    if found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFBLK.bits() && found.st_rdev == rdev {
        return Ok(node);
    }
    let cause = format!("it is not the kernel's loop{number}");
    let fault = fault::LOOP_DEVICE_FOREIGN.cannot("use", node.path.display(), cause);
    Err(fault.hint(format!("find out who put it there, then `rm {}`", node.path.display())))
}

fn find_or_make(path: &Path, rdev: u64) -> Result<(OwnedFd, bool), Fault> {
    let mut made = false;
    loop {
        match open_at(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(place) => return Ok((place, made)),
            Err(Errno::ENOENT) if !made => {
                match mknod(path, SFlag::S_IFBLK, Mode::from_bits_truncate(0o600), rdev) {
                    Ok(()) => made = true,
                    // Another process was faster; its node is checked like any other.
                    Err(Errno::EEXIST) => {}
                    Err(error) => return Err(denied(path, error)),
                }
            }
            Err(error) => return Err(denied(path, error)),
        }
    }
}

impl Node {
    /// A path that leads to this very node, whatever its name leads to by now.
    #[must_use]
    pub fn reachable(&self) -> PathBuf {
        safe_path::by_descriptor(self.place.as_fd())
    }

    /// Removes the node if it was made here. False: it is still there.
    pub fn remove_if_made(&self) -> bool {
        self.made && fs::remove_file(&self.path).is_ok()
    }

    /// The device may not be opened.
    #[must_use]
    pub fn denied(&self, error: Errno) -> Fault {
        denied(&self.path, error)
    }

    /// The device does not do what it is asked for.
    #[must_use]
    pub fn refused(&self, error: Errno) -> Fault {
        let code = match error {
            Errno::EPERM | Errno::EACCES => return self.denied(error),
            Errno::EBUSY | Errno::EAGAIN | Errno::ENXIO => fault::LOOP_DEVICES_BUSY,
            _ => fault::ATTACH_FAILED,
        };
        let fault = code.cannot("attach the image to", self.path.display(), error.desc());
        fault.hint("look at `losetup --list` and at the kernel's log")
    }
}

fn denied(path: &Path, error: Errno) -> Fault {
    let fault = fault::LOOP_DEVICE_DENIED.cannot("open", path.display(), error.desc());
    fault.hint(format!("run the container with {FLAGS} --cap-add MKNOD, or with --privileged"))
}
