//! The image's file: opened without surprises, locked, looked at, repaired.

use crate::superblock::{self, Dirty, LABEL, Superblock};
use crate::{fault, make, paths};
use dind_contract::Fault;
use dind_contract::helper::Helper;
use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a lock may be held by somebody who is just dying: a helper of a killed run, a device that lets go.
const DYING: Duration = Duration::from_millis(250);

/// How long a check of the whole file system may take.
const CHECK_LIMIT: Duration = Duration::from_secs(600);

/// An image that can be mounted, as its file and its superblock describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file's size in bytes.
    pub size: u64,
    /// How much of it is really there, in bytes.
    pub allocated: u64,
    /// The file system in it.
    pub superblock: Superblock,
}

impl Found {
    /// Whether it only promises its space. Holes where the inode tables are do not make a reserved image a sparse one.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        let Superblock { bytes, tables, slack, .. } = self.superblock;
        self.allocated.saturating_add(tables).saturating_add(slack) < bytes
    }

    /// Whether it has to be checked before it is mounted. A journal that has to be replayed is no reason: the kernel
    /// does that, in milliseconds.
    #[must_use]
    pub fn needs_check(&self) -> bool {
        self.superblock.errors || self.superblock.dirty == Dirty::Check
    }

    /// Whether a grow was cut off after the file and before the file system.
    #[must_use]
    pub fn is_half_grown(&self) -> bool {
        self.size.saturating_sub(self.superblock.bytes) > self.superblock.slack
    }
}

/// Opens an image by its folder; nothing where there is none. The file must be regular, root's, with one name, and
/// writable by root alone: whoever can write to it can attack the kernel's file system code.
///
/// # Errors
/// It is anything else, or cannot be opened.
pub fn open(folder: &OwnedFd, path: &Path, access: OFlag) -> Result<Option<File>, Fault> {
    let (_, name) = paths::split(path)?;
    let place =
        match openat(folder, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(place) => place,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(unreadable(path, error.desc())),
        };
    // Before it is opened for real: opening a FIFO blocks, opening a device may act.
    let found = fstat(&place).map_err(|error| unreadable(path, error.desc()))?;
    let what = match SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG if found.st_uid != 0 => Some("it does not belong to root"),
        SFlag::S_IFREG if found.st_nlink != 1 && make::second_name(folder, path, &found).is_none() => {
            Some("it has more than one name")
        }
        SFlag::S_IFREG if found.st_mode & 0o022 != 0 => Some("others than root may write to it"),
        SFlag::S_IFREG => None,
        SFlag::S_IFLNK => Some("it is a symbolic link"),
        _ => Some("it is no regular file"),
    };
    if let Some(cause) = what {
        let hint =
            "set DIND_STORAGE_IMAGE to another file, or give this one to root alone: chown 0:0, chmod 600";
        return Err(fault::IMAGE_UNSAFE.cannot("use", path.display(), cause).hint(hint));
    }
    let file = paths::reopen(&place, access).map_err(|error| unreadable(path, error.desc()))?;
    Ok(Some(File::from(file)))
}

/// Takes the image for us alone, or says that somebody else has it.
///
/// The lock belongs to the open file, not to the process (flock(2)). A loop device keeps the open file that it was
/// configured with, so the lock lives exactly as long as the attachment: it outlives us, and is gone with the
/// container, however that ends. For the same reason nix's `Flock` cannot be used: it unlocks when it is dropped.
///
/// # Errors
/// Somebody else has it.
pub fn lock(file: &File, path: &Path) -> Result<(), Fault> {
    let deadline = Instant::now() + DYING;
    loop {
        #[allow(deprecated)]
        match nix::fcntl::flock(file.as_raw_fd(), FlockArg::LockExclusiveNonblock) {
            Err(Errno::EWOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(Errno::EINTR) => {}
            locked => return verdict(locked, file, path),
        }
    }
}

fn verdict(locked: nix::Result<()>, file: &File, path: &Path) -> Result<(), Fault> {
    match locked {
        // The other one may have taken its file back between our open and our lock.
        Ok(()) if file.metadata().is_ok_and(|meta| meta.nlink() == 1) => Ok(()),
        Ok(()) | Err(Errno::EWOULDBLOCK) => Err(in_use(path)),
        Err(error) => {
            let fault = fault::IMAGE_UNREADABLE.cannot("lock", path.display(), error.desc());
            Err(fault.hint("put the image on a file system that knows flock(2)"))
        }
    }
}

/// Somebody else has the image.
#[must_use]
pub fn in_use(path: &Path) -> Fault {
    let fault = fault::IMAGE_IN_USE.cannot("use", path.display(), "another container or process has it");
    fault.hint("stop the other one, or give each its own file: DIND_STORAGE_IMAGE")
}

/// Looks at an image and refuses what is not whole, or not ours. Reads only.
///
/// # Errors
/// It has no file system of ours, or is shorter than that says.
pub fn examine(file: &File, path: &Path) -> Result<Found, Fault> {
    let meta = file.metadata().map_err(|error| unreadable(path, error))?;
    let mut head = vec![0; superblock::LENGTH.min(usize::try_from(meta.len()).unwrap_or(usize::MAX))];
    file.read_exact_at(&mut head, 0).map_err(|error| unreadable(path, error))?;
    let Some(superblock) = superblock::parse(&head) else {
        return Err(foreign(path, "there is neither an ext4 nor an xfs file system in it"));
    };
    if superblock.label != LABEL {
        let label = superblock.label.escape_default();
        return Err(foreign(
            path,
            &format!("its {} is labelled `{label}`, not `{LABEL}`", superblock.filesystem),
        ));
    }
    if superblock.bytes > meta.len() {
        let cause = format!(
            "it has {} bytes and is shorter than its file system of {}",
            meta.len(),
            superblock.bytes
        );
        let fault = fault::IMAGE_BROKEN.cannot("use", path.display(), cause);
        return Err(fault.hint("restore it from a copy, or move it away to start with an empty one"));
    }
    Ok(Found { size: meta.len(), allocated: meta.blocks().saturating_mul(512), superblock })
}

/// Checks the file system, and repairs what can be repaired without a decision (`e2fsck -p`).
///
/// # Errors
/// More is broken than that.
pub fn check(file: &File, path: &Path, forced: bool) -> Result<(), Fault> {
    let helper = helper("e2fsck", "e2fsprogs")?;
    let flags: &[&str] = if forced { &["-f", "-p"] } else { &["-p"] };
    let hint = format!("look at it with `e2fsck -f {}`, after making a copy", path.display());
    let broken = |cause: String| fault::IMAGE_BROKEN.cannot("check", path.display(), cause).hint(&hint);
    let done = helper.args(flags).arg_fd(file.as_fd()).run(CHECK_LIMIT);
    let done = done.map_err(|error| broken(format!("e2fsck: {error}")))?;
    // e2fsck(8): 1 is corrected, 2 asks for a reboot where a mounted root was corrected; from 4 on errors are left.
    match done.status.code() {
        Some(0..=2) => Ok(()),
        code => {
            let status = code.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"));
            Err(broken(format!("e2fsck ended with {status}")).cause(format!(
                "{} {}",
                done.stdout.trim(),
                done.stderr
            )))
        }
    }
}

/// A helper program, or the package that it comes in.
///
/// # Errors
/// It is not installed.
pub fn helper(name: &str, package: &str) -> Result<Helper, Fault> {
    Helper::find(name).ok_or_else(|| {
        let fault = fault::HELPER_MISSING.cannot("run", name, "it is not installed");
        fault.hint(format!("install it in the image: apt-get install {package}"))
    })
}

fn foreign(path: &Path, cause: &str) -> Fault {
    let hint = "set DIND_STORAGE_IMAGE to a name that is free; an ext4 image from elsewhere is taken over with \
                `tune2fs -L dind-docker FILE`";
    fault::IMAGE_FOREIGN.cannot("use", path.display(), cause).hint(hint)
}

fn unreadable(path: &Path, cause: impl std::fmt::Display) -> Fault {
    fault::IMAGE_UNREADABLE
        .cannot("read", path.display(), cause)
        .hint("look at the kernel's log and at `ls -l`")
}
