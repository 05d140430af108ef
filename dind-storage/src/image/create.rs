//! An image is made whole or not at all.
//!
//! mkfs works on a temporary file in the same folder; only a complete file system, on disk, gets the final name. Of 311
//! places at which mkfs.ext4 can be killed, 292 leave a file that cannot be mounted: under a final name, that is a node
//! that never starts again.

use crate::options::ImageFilesystem;
use crate::superblock::LABEL;
use crate::{fault, image, paths};
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, FallocateFlags, OFlag, RenameFlags, fallocate, openat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, ftruncate, linkat, unlinkat};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

const MKFS_LIMIT: Duration = Duration::from_secs(300);

/// What an image is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// In bytes.
    pub size: u64,
    /// Its file system.
    pub filesystem: ImageFilesystem,
    /// Whether its space is only promised.
    pub sparse: bool,
}

/// How far an ext4 can grow without moving anything: to 16 times its size, but by no more than this, in bytes. mkfs keeps
/// room for the descriptors of 1,024 times the size, and writes a block for each 8 GiB of that: half of its work.
const ROOM_TO_GROW: u64 = 512 << 30;

/// Makes an image in an open folder, and returns it locked.
///
/// # Errors
/// There is not enough space, mkfs fails, or somebody else is at it. Nothing is left.
pub fn make(folder: &OwnedFd, path: &Path, spec: &Spec) -> Result<File, Fault> {
    let (_, name) = paths::split(path)?;
    sweep(folder, path)?;
    let temporary = Temporary::create(folder, format!("{}{}", prefix(name), std::process::id()), path)?;
    reserve(folder, &temporary.file, path, spec.size, spec.sparse)?;
    format(&temporary.file, path, spec)?;
    if !spec.sparse {
        // mkfs is told not to discard; should one do it all the same, the holes are filled here.
        reserve(folder, &temporary.file, path, spec.size, false)?;
    }
    temporary.file.sync_all().map_err(|error| not_made(path, error))?;
    temporary.name_it(name, path)
}

/// Makes a file as long as it shall be, and takes the space for it unless `sparse`.
///
/// # Errors
/// There is less space than that; the numbers are in the message.
pub fn reserve(folder: &OwnedFd, file: &File, path: &Path, size: u64, sparse: bool) -> Result<(), Fault> {
    let length = i64::try_from(size).map_err(|error| not_made(path, error))?;
    if sparse {
        return ftruncate(file, length).map_err(|error| not_made(path, error.desc()));
    }
    let has = file.metadata().map_err(|error| not_made(path, error))?.blocks().saturating_mul(512);
    let needed = size.saturating_sub(has);
    let available = available(folder);
    if available.is_some_and(|available| available < needed) {
        return Err(short(path, needed, available));
    }
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, length) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::ENOSPC | Errno::EDQUOT) => return Err(short(path, needed, available)),
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                let cause = "the file system there cannot reserve space";
                let fault = fault::RESERVE_UNSUPPORTED.cannot("make", path.display(), cause);
                return Err(
                    fault.hint("set DIND_STORAGE_SPARSE=true, or put the image on ext4, xfs or btrfs")
                );
            }
            Err(Errno::EFBIG) => {
                let fault = not_made(path, "it is larger than the limit for files");
                return Err(fault
                    .hint("run the container with --ulimit fsize=-1, or set a smaller VAR_LIB_DOCKER_SIZE"));
            }
            Err(error) => return Err(not_made(path, error.desc())),
        }
    }
}

/// An image that does not fit.
#[must_use]
pub fn short(path: &Path, needed: u64, available: Option<u64>) -> Fault {
    let has = available.map_or_else(String::new, |bytes| format!(" and {bytes} bytes are available"));
    let fault = fault::SPACE_SHORT.cannot("make", path.display(), format!("it needs {needed} bytes{has}"));
    fault.hint("set a smaller VAR_LIB_DOCKER_SIZE, or DIND_STORAGE_IMAGE to a file on a larger volume")
}

/// What a user may still write in the file system of a folder, in bytes.
fn available(folder: &OwnedFd) -> Option<u64> {
    let stat = fstatvfs(folder).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

fn format(file: &File, path: &Path, spec: &Spec) -> Result<(), Fault> {
    let helper = match spec.filesystem {
        ImageFilesystem::Ext4 => {
            // nodiscard keeps the reservation (else 131,072 blocks become 8,960). The tables are zeroes already, in a
            // file that is new. Blocks of 4 KiB, where mkfs takes 1 KiB below 512 MiB, go with direct I/O on any disk.
            let most = spec.size.saturating_mul(16).min(spec.size.saturating_add(ROOM_TO_GROW)) / 4096;
            let extended = format!("nodiscard,lazy_itable_init=1,lazy_journal_init=1,resize={most}");
            image::helper("mkfs.ext4", "e2fsprogs")?
                .args(["-q", "-F", "-b", "4096", "-m", "0", "-L", LABEL, "-E", &extended])
        }
        ImageFilesystem::Xfs => image::helper("mkfs.xfs", "xfsprogs")?.args(["-q", "-K", "-L", LABEL]),
    };
    let program = helper.program().display().to_string();
    let done = helper
        .arg_fd(file.as_fd())
        .run(MKFS_LIMIT)
        .map_err(|error| not_made(path, format!("{program}: {error}")))?;
    if done.status.success() {
        return Ok(());
    }
    Err(not_made(path, format!("{program} ended with {}", done.status)).cause(done.stderr))
}

fn not_made(path: &Path, cause: impl std::fmt::Display) -> Fault {
    let fault = fault::IMAGE_NOT_MADE.cannot("make", path.display(), cause);
    fault.hint("look at the kernel's log, or set DIND_STORAGE_IMAGE to a file on another volume")
}

/// Removes what killed runs left, and counts it.
///
/// # Errors
/// One is locked: somebody is at work on the same image. Or the folder cannot be read or written.
pub fn sweep(folder: &OwnedFd, path: &Path) -> Result<usize, Fault> {
    let mut swept = 0;
    for name in temporaries(folder, path)? {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let Ok(stale) = openat(folder, name.as_os_str(), flags, Mode::empty()).map(File::from) else {
            continue;
        };
        image::lock(&stale, path)?;
        unlinkat(folder, name.as_os_str(), UnlinkatFlags::NoRemoveDir)
            .map_err(|error| not_made(path, error.desc()))?;
        swept += 1;
    }
    Ok(swept)
}

/// Takes away the temporary name that a run had not come to remove when it was killed between link and unlink.
///
/// # Errors
/// The folder cannot be written.
pub fn forget_second_name(folder: &OwnedFd, path: &Path) -> Result<(), Fault> {
    let (_, name) = paths::split(path)?;
    let Ok(image) = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { return Ok(()) };
    match second_name(folder, path, &image) {
        None => Ok(()),
        Some(other) => unlinkat(folder, other.as_os_str(), UnlinkatFlags::NoRemoveDir)
            .map_err(|error| not_made(path, error.desc())),
    }
}

/// That name, of an image that has it.
#[must_use]
pub fn second_name(folder: &OwnedFd, path: &Path, image: &FileStat) -> Option<OsString> {
    if image.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() || image.st_nlink != 2 {
        return None;
    }
    let is_image = |name: &OsString| {
        fstatat(folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|other| (other.st_dev, other.st_ino) == (image.st_dev, image.st_ino))
    };
    temporaries(folder, path).ok()?.into_iter().find(is_image)
}

/// The names of what runs in progress work on, and of what killed ones left.
fn temporaries(folder: &OwnedFd, path: &Path) -> Result<Vec<OsString>, Fault> {
    let (_, name) = paths::split(path)?;
    let prefix = prefix(name);
    let listed = paths::readable(folder).map_err(|error| not_made(path, error.desc()))?;
    let names =
        std::fs::read_dir(paths::by_descriptor(listed.as_fd())).map_err(|error| not_made(path, error))?;
    let names = names.flatten().map(|entry| entry.file_name());
    Ok(names.filter(|name| name.to_string_lossy().starts_with(&prefix)).collect())
}

fn prefix(name: &str) -> String {
    format!(".{name}.tmp-")
}

/// A file that is removed unless it gets its final name. It is locked from its first moment on.
struct Temporary<'a> {
    folder: &'a OwnedFd,
    name: String,
    file: File,
    named: bool,
}

impl<'a> Temporary<'a> {
    fn create(folder: &'a OwnedFd, name: String, path: &Path) -> Result<Self, Fault> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = match openat(folder, name.as_str(), flags, Mode::from_bits_truncate(0o600)) {
            Ok(file) => File::from(file),
            // Process ids repeat between containers that share a volume, and stale ones have been swept.
            Err(Errno::EEXIST) => return Err(image::in_use(path)),
            Err(error) => return Err(not_made(path, error.desc())),
        };
        let mut temporary = Self { folder, name, file, named: false };
        image::lock(&temporary.file, path).inspect_err(|fault| {
            // Another start took it for a stale one, and removes it; the name may be a third one's by now.
            temporary.named = fault.code == fault::IMAGE_IN_USE;
        })?;
        Ok(temporary)
    }

    fn name_it(mut self, name: &str, path: &Path) -> Result<File, Fault> {
        let temporary = self.name.as_str();
        match renameat2(self.folder, temporary, self.folder, name, RenameFlags::RENAME_NOREPLACE) {
            // NFS and others do not know the flag. A link never replaces anything either.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                linkat(self.folder, temporary, self.folder, name, AtFlags::empty())
                    .and_then(|()| unlinkat(self.folder, temporary, UnlinkatFlags::NoRemoveDir))
            }
            renamed => renamed,
        }
        .map_err(|error| match error {
            Errno::EEXIST => image::in_use(path),
            error => not_made(path, error.desc()),
        })?;
        self.named = true;
        let on_disk =
            paths::readable(self.folder).map_err(std::io::Error::from).and_then(|folder| folder.sync_all());
        let kept = on_disk.and_then(|()| self.file.try_clone());
        kept.map_err(|error| {
            let _ = unlinkat(self.folder, name, UnlinkatFlags::NoRemoveDir);
            not_made(path, error)
        })
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.named {
            let _ = unlinkat(self.folder, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}
