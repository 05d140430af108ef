//! Calls that no library has.

use nix::errno::Errno;
use nix::libc::{self, c_long};
use std::ffi::CString;
use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Keyring of the user, and of the process (keyctl(2), `KEY_SPEC_USER_KEYRING`, `KEY_SPEC_PROCESS_KEYRING`).
const USER_KEYRING: c_long = -4;
const PROCESS_KEYRING: c_long = -2;

/// An address that the kernel may write to.
fn address<T>(data: &mut T) -> c_long {
    std::ptr::from_mut(data) as c_long
}

/// Addresses among the arguments have to be those of values that live as long as the call, and are as large as it takes them for.
fn call(number: c_long, arguments: [c_long; 5]) -> Result<c_long> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: all callers are in this file, and give what is asked for above.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    Ok(Errno::result(result)?)
}

fn descriptor(number: c_long) -> Result<OwnedFd> {
    let number = i32::try_from(number).map_err(Error::other)?;
    // SAFETY: a call has just made it.
    #[allow(unsafe_code)]
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// One page, for 1 MiB of memory, where it would begin (kexec_load(2)).
pub(super) fn kexec() -> Result<()> {
    let (mut page, place) = ([0x90u8; 4096], 1 << 20);
    let mut segment = [address(&mut page), 4096, place, 4096];
    call(libc::SYS_kexec_load, [place, 1, address(&mut segment), 0, 0]).map(drop)
}

pub(super) fn kexec_unload() -> Result<()> {
    call(libc::SYS_kexec_load, [0; 5]).map(drop)
}

/// The commands of bpf(2).
fn bpf<const N: usize>(command: c_long, attributes: &mut [u32; N]) -> Result<c_long> {
    let length = c_long::try_from(N * 4).map_err(Error::other)?;
    call(libc::SYS_bpf, [command, address(attributes), length, 0, 0])
}

/// Both halves of an address, as they lie in memory.
fn halves<T>(data: &mut T) -> [u32; 2] {
    let bytes = address(data).to_ne_bytes();
    [0, 4].map(|at| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]))
}

/// A program for a kprobe that does nothing, by BPF_PROG_LOAD: type, number of instructions, instructions, licence, log (three), version,
/// flags, name. It stays open in the programs that this one starts.
pub(super) fn bpf_load(name: &str) -> Result<OwnedFd> {
    // r0 = 0; exit
    let (mut instructions, mut licence) = ([0xb7u64, 0x95], *b"GPL\0");
    let ([i, j], [k, l]) = (halves(&mut instructions), halves(&mut licence));
    let mut attributes = [2, 2, i, j, k, l, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (at, bytes) in name.as_bytes().chunks(4).enumerate().take(3) {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        attributes[12 + at] = u32::from_ne_bytes(word);
    }
    let program = descriptor(bpf(5, &mut attributes)?)?;
    nix::fcntl::fcntl(program.as_fd(), nix::fcntl::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    Ok(program)
}

/// By BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID and BPF_OBJ_GET_INFO_BY_FD: the name is at byte 64 of `bpf_prog_info`.
pub(super) fn bpf_names() -> Result<Vec<String>> {
    let (mut names, mut last) = (Vec::new(), 0);
    loop {
        let mut next = [last, 0];
        if bpf(11, &mut next).is_err() {
            return Ok(names);
        }
        last = next[1];
        let program = descriptor(bpf(13, &mut [last, 0, 0])?)?;
        let mut info = [0u8; 80];
        let [low, high] = halves(&mut info);
        let number = u32::try_from(program.as_raw_fd()).map_err(Error::other)?;
        bpf(15, &mut [number, 80, low, high])?;
        names.push(String::from_utf8_lossy(&info[64..]).trim_end_matches('\0').to_owned());
    }
}

/// The root of an ext4 file system has the number 2, and any generation will do for it (fs/ext4/namei.c, `ext4_nfs_get_inode`).
pub(super) fn open_root(within: &impl AsRawFd) -> Result<OwnedFd> {
    // `handle_bytes`, `handle_type` (FILEID_INO32_GEN), number, generation.
    let mut handle = [8u32, 1, 2, 0];
    let flags = c_long::from(libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
    let arguments = [c_long::from(within.as_raw_fd()), address(&mut handle), flags, 0, 0];
    descriptor(call(libc::SYS_open_by_handle_at, arguments)?)
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(Error::other)
}

pub(super) fn add_key(name: &str, payload: &str) -> Result<()> {
    let (kind, name) = (text("user")?, text(name)?);
    let length = c_long::try_from(payload.len()).map_err(Error::other)?;
    let arguments = [kind.as_ptr() as c_long, name.as_ptr() as c_long, payload.as_ptr() as c_long, length];
    let [a, b, c, d] = arguments;
    call(libc::SYS_add_key, [a, b, c, d, USER_KEYRING]).map(drop)
}

/// KEYCTL_LINK, so that what the user has is the process's own, KEYCTL_SEARCH, KEYCTL_READ.
pub(super) fn read_key(name: &str) -> Result<Vec<u8>> {
    let (kind, name) = (text("user")?, text(name)?);
    call(libc::SYS_keyctl, [8, USER_KEYRING, PROCESS_KEYRING, 0, 0])?;
    let key =
        call(libc::SYS_keyctl, [10, USER_KEYRING, kind.as_ptr() as c_long, name.as_ptr() as c_long, 0])?;
    let mut payload = [0u8; 64];
    let length = call(libc::SYS_keyctl, [11, key, address(&mut payload), 64, 0])?;
    Ok(payload[..usize::try_from(length).map_err(Error::other)?.min(64)].to_vec())
}
