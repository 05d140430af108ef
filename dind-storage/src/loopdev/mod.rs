//! Loop devices: attach a file so that the kernel lets go of it by itself.
//!
//! The crate `loopdev` knows the old pair of calls, LOOP_SET_FD and LOOP_SET_STATUS64. What it lacks is done on its
//! descriptors: LOOP_CONFIGURE (Linux 5.8), which sets file and flags at once, and device nodes that are missing,
//! as they are in a container: its /dev is a copy made at start.

use crate::fault;
use crate::loopabi::{AUTOCLEAR, Config, DIRECT_IO, Info, READ_ONLY, ioctl};
use crate::node::{self, Node};
use dind_contract::Fault;
use loopdev::{LoopControl, LoopDevice};
use nix::errno::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The major number of loop devices (Documentation/admin-guide/devices.txt).
pub const MAJOR: u64 = 7;

/// A device with our file. It goes when the last user does: this value, or a mount.
#[derive(Debug)]
pub struct Attached {
    device: LoopDevice,
    /// The device's name and number; the number is `st_dev` of the files in a file system on it.
    pub node: Node,
    /// Whether it goes past the page cache.
    pub direct_io: bool,
}

impl Attached {
    /// Lets go at once.
    ///
    /// # Errors
    /// Those of LOOP_CLR_FD.
    pub fn detach(self) -> io::Result<()> {
        self.device.detach()
    }
}

/// What a device is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backing {
    /// `st_dev` of the file.
    pub device: u64,
    /// `st_ino` of the file.
    pub inode: u64,
    /// Whether the device goes past the page cache.
    pub direct_io: bool,
}

/// Attaches a file, opened for reading and writing. The kernel keeps this very open file, and with it its flock(2).
///
/// # Errors
/// A privilege is missing, all devices stay busy, or the kernel refuses.
pub fn attach(file: &File) -> Result<Attached, Fault> {
    let control = LoopControl::open().map_err(|error| no_control(&error))?;
    // LOOP_CTL_GET_FREE claims nothing: of 16 starts at once, 12 lose their first device to another.
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut pause = Jitter::new();
    loop {
        // SAFETY: LOOP_CTL_GET_FREE takes no argument; the descriptor is open.
        #[allow(unsafe_code)]
        let number = unsafe { ioctl::get_free(control.as_raw_fd()) }.map_err(|error| {
            let fault = fault::ATTACH_FAILED.cannot("find", "a free loop device", error.desc());
            fault.hint("look at `losetup --list`, and at the kernel's limit max_loop")
        })?;
        let node = node::open(number)?;
        let connected = LoopDevice::open(node.reachable()).map_err(|error| raw(&error)).and_then(|device| {
            connect(&device, file)?;
            Ok(device)
        });
        match connected {
            Ok(device) => return verified(Attached { device, node, direct_io: false }, file),
            // Somebody else has it, or is just letting go of it.
            Err(Errno::EBUSY | Errno::EAGAIN | Errno::ENXIO | Errno::EINTR) if Instant::now() < deadline => {
                node.forget();
                pause.wait();
            }
            Err(error) => {
                node.forget();
                return Err(refused(&node, error));
            }
        }
    }
}

fn refused(node: &Node, error: Errno) -> Fault {
    let code = match error {
        Errno::EPERM | Errno::EACCES => return node.denied(error),
        Errno::EBUSY | Errno::EAGAIN | Errno::ENXIO => fault::LOOP_DEVICES_BUSY,
        _ => fault::ATTACH_FAILED,
    };
    let fault = code.cannot("attach the image to", node.path.display(), error.desc());
    fault.hint("look at `losetup --list` and at the kernel's log")
}

/// What a loop device is attached to, by number; nothing for a free one.
///
/// # Errors
/// The device cannot be opened or asked.
pub fn backing(number: i32) -> Result<Option<Backing>, Fault> {
    let node = node::open(number)?;
    let opened = File::open(node.reachable()).map_err(|error| raw(&error));
    node.forget();
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
        Err(error) => Err(refused(&node, error)),
    }
}

/// Makes a device see that its file has become longer.
///
/// # Errors
/// The device cannot be opened, or refuses.
pub fn read_capacity(number: i32) -> Result<(), Fault> {
    let node = node::open(number)?;
    let grown = LoopDevice::open(node.reachable()).and_then(|device| device.set_capacity());
    node.forget();
    grown.map_err(|error| refused(&node, raw(&error)))
}

/// Where sysfs says which file a device has; it is there for as long as the device is attached.
#[must_use]
pub fn backing_file(number: i32) -> PathBuf {
    PathBuf::from(format!("/sys/block/loop{number}/loop/backing_file"))
}

fn connect(device: &LoopDevice, file: &File) -> Result<(), Errno> {
    let fd = u32::try_from(file.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let config = Config::new(fd, AUTOCLEAR | DIRECT_IO);
    // SAFETY: `config` is laid out as linux/loop.h says and outlives the call; both descriptors are open.
    #[allow(unsafe_code)]
    let answer = unsafe { ioctl::configure(device.as_raw_fd(), &raw const config) };
    match answer {
        Ok(_) => Ok(()),
        // EINVAL is for the kernel of a later day that knows the call but not one of the flags.
        Err(Errno::ENOTTY | Errno::ENOSYS | Errno::EINVAL) => connect_old(device, file),
        Err(error) => Err(error),
    }
}

/// Before Linux 5.8. A kill between the two calls leaves a device that does not clear itself; nothing can be done there.
fn connect_old(device: &LoopDevice, file: &File) -> Result<(), Errno> {
    device.with().autoclear(true).attach_fd(file.as_raw_fd()).map_err(|error| raw(&error))?;
    // Direct I/O is a gain, not a need: file systems that cannot do it refuse here.
    let _ = device.set_direct_io(true);
    Ok(())
}

fn raw(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// The kernel answers a file or device that it cannot write with a silent read-only device.
fn verified(mut attached: Attached, file: &File) -> Result<Attached, Fault> {
    let check = || {
        let info = status(&attached.device).map_err(|error| error.desc().to_owned())?;
        let meta = file.metadata().map_err(|error| error.to_string())?;
        if (info.device, info.inode) != (meta.dev(), meta.ino()) {
            return Err("it has another file".to_owned());
        }
        if info.flags & READ_ONLY != 0 {
            return Err("it came out read-only".to_owned());
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
            attached.node.forget();
            let fault =
                fault::ATTACH_FAILED.cannot("attach the image to", attached.node.path.display(), cause);
            let _ = attached.detach();
            Err(fault.hint("look at `losetup --list` and at the kernel's log"))
        }
    }
}

fn status(device: &impl AsRawFd) -> Result<Info, Errno> {
    let mut info = Info::EMPTY;
    // SAFETY: `info` is laid out as linux/loop.h says and outlives the call; the descriptor is open.
    #[allow(unsafe_code)]
    unsafe { ioctl::get_status(device.as_raw_fd(), &raw mut info) }?;
    Ok(info)
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
    code.cannot("open", "/dev/loop-control", error).hint(hint)
}

/// Pauses that grow, and differ from process to process, so that those who met once do not meet again.
struct Jitter(u64, u32);

impl Jitter {
    fn new() -> Self {
        Self(u64::from(std::process::id()).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, 0)
    }

    fn wait(&mut self) {
        // xorshift64 (Marsaglia 2003); nothing here needs better numbers.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.1 = (self.1 + 1).min(6);
        std::thread::sleep(Duration::from_micros(200 + self.0 % (500 << self.1)));
    }
}
