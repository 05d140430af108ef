//! Loop devices: attach a file so that the kernel frees the device by itself. [`node`] is `/dev/loopN`, `attached` looks
//! at devices that are attached already, `ioctl` is what the kernel's header says, `jitter` how long to wait for others.
//!
//! The crate `loopdev` knows the old pair of calls, LOOP_SET_FD and LOOP_SET_STATUS64. What it does not have is done on its
//! descriptors: LOOP_CONFIGURE (Linux 5.8), which sets file and flags at once, and device nodes that are missing, as they
//! are in a container, whose /dev is a copy made at start.

mod attached;
mod ioctl;
mod jitter;
pub mod node;

use crate::fault;
pub use attached::{Backing, backing, backing_file, read_capacity, shared};
use dind_contract::Fault;
use ioctl::{AUTOCLEAR, Config, DIRECT_IO, READ_ONLY, raw, request, status};
use jitter::Jitter;
use loopdev::{LoopControl, LoopDevice};
use nix::errno::Errno;
use node::Node;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The major number of loop devices (Documentation/admin-guide/devices.txt).
pub const MAJOR: u64 = 7;

/// Where the kernel gives out devices.
const CONTROL: &str = "/dev/loop-control";

/// A device with our file. It frees itself when the last user is gone: this value, or a mount.
#[derive(Debug)]
pub struct Attached {
    device: LoopDevice,
    /// The device's name and number; the number is `st_dev` of the files in a file system on it.
    pub node: Node,
    /// Whether it bypasses the page cache.
    pub direct_io: bool,
    /// Nodes of devices that were tried before this one, and of this one.
    made: Vec<PathBuf>,
}

impl Attached {
    /// Frees the device at once, and removes the nodes that were made on the way to it.
    ///
    /// # Errors
    /// Those of LOOP_CLR_FD.
    pub fn detach(self) -> io::Result<()> {
        self.made.iter().for_each(|path| drop(std::fs::remove_file(path)));
        self.device.detach()
    }
}

/// The node of a free device, made where it is missing.
///
/// LOOP_CTL_GET_FREE reserves nothing: of 16 processes that ask at once, 12 lose their device to another one before they
/// have attached their file.
///
/// # Errors
/// A privilege is missing, or the kernel has no free device.
pub fn free_node() -> Result<Node, Fault> {
    let control = LoopControl::open().map_err(|error| no_control(&error))?;
    // SAFETY: LOOP_CTL_GET_FREE takes no argument; the descriptor is open.
    #[allow(unsafe_code)]
    let number = unsafe { request::get_free(control.as_raw_fd()) }.map_err(|error| {
        let fault = fault::ATTACH_FAILED.cannot("get a free loop device from", CONTROL, error.desc());
        fault.hint("look at `losetup --list`, and at the kernel's limit max_loop")
    })?;
    node::open(number)
}

/// Attaches a file, opened for reading and writing, to the device of `first`, or to another free one where another process
/// was faster. The kernel keeps this very open file, and with it its flock(2). `sector` is the smallest block that the file system
/// may ask for, in bytes, or 0: the kernel takes what direct I/O wants, and that is more for a file that shares blocks (Linux 6.15).
///
/// # Errors
/// A privilege is missing, all devices stay busy, or the kernel refuses. Nodes that were made here are removed.
pub fn attach(file: &File, sector: u32, first: Option<Node>) -> Result<Attached, Fault> {
    attach_as(file, sector, first, 0)
}

/// The same for a file opened for reading, to a device that cannot be written to.
///
/// # Errors
/// As [`attach`] has them.
pub fn attach_read_only(file: &File) -> Result<Attached, Fault> {
    attach_as(file, 0, None, READ_ONLY)
}

/// `mode` is [`READ_ONLY`] or nothing.
fn attach_as(file: &File, sector: u32, mut first: Option<Node>, mode: u32) -> Result<Attached, Fault> {
    let mut made = Vec::new();
    let attached = attach_to_free(file, sector, &mut first, &mut made, mode);
    match attached.and_then(|attached| checked(attached, file, mode)) {
        Ok(attached) => Ok(Attached { made, ..attached }),
        Err(fault) => {
            made.iter().for_each(|path| drop(std::fs::remove_file(path)));
            Err(fault)
        }
    }
}

fn attach_to_free(
    file: &File,
    sector: u32,
    first: &mut Option<Node>,
    made: &mut Vec<PathBuf>,
    mode: u32,
) -> Result<Attached, Fault> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut pause = Jitter::new();
    loop {
        let node = match first.take() {
            Some(node) => node,
            None => {
                let node = free_node()?;
                made.extend(node.made.then(|| node.path.clone()));
                node
            }
        };
        let connected = LoopDevice::open(node.reachable()).map_err(|error| raw(&error)).and_then(|device| {
            connect(&device, file, sector, mode)?;
            Ok(device)
        });
        match connected {
            Ok(device) => return Ok(Attached { device, node, direct_io: false, made: Vec::new() }),
            // Another process has it, or is just freeing it. Its node stays until the end: another process may need it.
            Err(Errno::EBUSY | Errno::EAGAIN | Errno::ENXIO | Errno::EINTR) if Instant::now() < deadline => {
                pause.wait();
            }
            Err(error) => return Err(node.refused(error)),
        }
    }
}

fn connect(device: &LoopDevice, file: &File, sector: u32, mode: u32) -> Result<(), Errno> {
    let fd = u32::try_from(file.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let config = Config::new(fd, AUTOCLEAR | DIRECT_IO | mode, sector);
    // SAFETY: `config` is laid out as linux/loop.h says and outlives the call; both descriptors are open.
    #[allow(unsafe_code)]
    let answer = unsafe { request::configure(device.as_raw_fd(), &raw const config) };
    match answer {
        Ok(_) => Ok(()),
        // EINVAL is for a later kernel that knows the call but not one of the flags.
        Err(Errno::ENOTTY | Errno::ENOSYS | Errno::EINVAL) => connect_old(device, file, mode),
        Err(error) => Err(error),
    }
}

/// For kernels before 5.8. A kill between the two calls leaves a device that does not free itself; that cannot be helped.
fn connect_old(device: &LoopDevice, file: &File, mode: u32) -> Result<(), Errno> {
    device
        .with()
        .autoclear(true)
        .read_only(mode == READ_ONLY)
        .attach_fd(file.as_raw_fd())
        .map_err(|error| raw(&error))?;
    // Direct I/O is an optimisation: file systems that cannot do it refuse here.
    let _ = device.set_direct_io(true);
    Ok(())
}

/// Where the kernel cannot write to the file or the device, it silently makes the device read-only.
fn checked(mut attached: Attached, file: &File, mode: u32) -> Result<Attached, Fault> {
    let check = || {
        let info = status(&attached.device).map_err(|error| error.desc().to_owned())?;
        let meta = file.metadata().map_err(|error| error.to_string())?;
        if (info.device, info.inode) != (meta.dev(), meta.ino()) {
            return Err("another file is attached to it".to_owned());
        }
        if info.flags & READ_ONLY != mode {
            let what = if mode == 0 { "it is read-only" } else { "it is not read-only" };
            return Err(what.to_owned());
        }
        if info.flags & AUTOCLEAR == 0 {
            return Err("it would outlive the container".to_owned());
        }
        Ok(info.flags & DIRECT_IO != 0)
    };
    match check() {
        Ok(direct_io) => {
            attached.direct_io = direct_io;
            Ok(attached)
        }
        Err(cause) => {
            let fault =
                fault::ATTACH_FAILED.cannot("attach the image to", attached.node.path.display(), cause);
            let _ = attached.detach();
            Err(fault.hint("look at `losetup --list` and at the kernel's log"))
        }
    }
}

fn no_control(error: &io::Error) -> Fault {
    let code = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => fault::LOOP_CONTROL_DENIED,
        _ => fault::LOOP_CONTROL_MISSING,
    };
    let hint = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENXIO | Errno::ENODEV) => {
            "load the kernel's module on the host: `modprobe loop`".to_owned()
        }
        _ => format!("run the container with {}, or with --privileged", node::FLAGS),
    };
    code.cannot("open", CONTROL, error).hint(hint)
}
