//! The structures and requests of linux/loop.h that the crate `loopdev` does not have.

use nix::errno::Errno;
use std::io;
use std::os::fd::AsRawFd;

/// The device cannot be written to. Set by the kernel, too, where it could not get the file or the device for writing.
pub(crate) const READ_ONLY: u32 = 1;
/// The device frees itself with its last user.
pub(crate) const AUTOCLEAR: u32 = 4;
/// Reads and writes bypass the page cache of the file.
pub(crate) const DIRECT_IO: u32 = 16;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    rdevice: u64,
    pub(crate) offset: u64,
    pub(crate) size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    pub(crate) flags: u32,
    names_and_key: [[u8; 32]; 5],
    init: [u64; 2],
}

impl Info {
    pub(crate) const EMPTY: Self = Self {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: 0,
        names_and_key: [[0; 32]; 5],
        init: [0; 2],
    };
}

/// `struct loop_config`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

impl Config {
    /// A whole file. A block size of 0 leaves the choice to the kernel.
    pub(crate) fn new(fd: u32, flags: u32, block_size: u32) -> Self {
        Self { fd, block_size, info: Info { flags, ..Info::EMPTY }, reserved: [0; 8] }
    }
}

/// These requests predate the scheme that encodes direction and size in the number.
pub(crate) mod request {
    #![allow(missing_docs)] // the macros take no comments
    nix::ioctl_none_bad!(get_free, 0x4C82);
    nix::ioctl_write_ptr_bad!(configure, 0x4C0A, super::Config);
    nix::ioctl_read_bad!(get_status, 0x4C05, super::Info);
}

/// What a device is attached to, and how.
pub(crate) fn status(device: &impl AsRawFd) -> Result<Info, Errno> {
    let mut info = Info::EMPTY;
    // SAFETY: `info` is laid out as linux/loop.h says and outlives the call; the descriptor is open.
    #[allow(unsafe_code)]
    unsafe { request::get_status(device.as_raw_fd(), &raw mut info) }?;
    Ok(info)
}

/// The kernel's reason.
pub(crate) fn raw(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_as_long_as_in_linux_loop_h() {
        assert_eq!(size_of::<Info>(), 232);
        assert_eq!(size_of::<Config>(), 304);
    }
}
