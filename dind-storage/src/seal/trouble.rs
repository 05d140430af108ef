//! What goes wrong between the data root and the seed: each error knows which of the two it is about.

use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with a file.
#[derive(Debug)]
pub struct Trouble {
    /// Whether the file is one of the data root's.
    pub reading: bool,
    /// The file.
    pub path: PathBuf,
    /// The error.
    pub error: io::Error,
}

impl Trouble {
    /// A file of the data root cannot be read.
    pub fn reading(path: &Path, error: impl Into<io::Error>) -> Self {
        Self { reading: true, path: path.to_owned(), error: error.into() }
    }

    /// A file of the seed cannot be written.
    pub fn writing(path: &Path, error: impl Into<io::Error>) -> Self {
        Self { reading: false, path: path.to_owned(), error: error.into() }
    }

    /// The error of the seal.
    #[must_use]
    pub fn fault(&self, to: &Path) -> Fault {
        if self.reading {
            let fault = fault::DATA_ROOT_BROKEN.cannot("read", self.path.display(), &self.error);
            return fault.hint(
                "look at the kernel's log; where only this image is damaged, remove it and load it again",
            );
        }
        match self.error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSPC | Errno::EDQUOT) => {
                let fault = fault::SPACE_SHORT.cannot(
                    "make",
                    to.display(),
                    format_args!("{}: {}", self.path.display(), self.error),
                );
                fault.hint("make room there, or name a seed on another volume")
            }
            Some(Errno::EOPNOTSUPP) => {
                let cause = format_args!(
                    "{}: the file system there does not keep its attributes",
                    self.path.display()
                );
                let fault = fault::SEED_NOT_MADE.cannot("make", to.display(), cause);
                fault.hint("name a seed on ext4, xfs or btrfs, or give --format erofs")
            }
            Some(Errno::EPERM) => {
                let fault = not_made(to, format_args!("{}: {}", self.path.display(), self.error));
                fault.hint("run it with --privileged: layers have devices and attributes that only root of the machine may make")
            }
            _ => not_made(to, format_args!("{}: {}", self.path.display(), self.error)),
        }
    }
}

/// A seed that cannot be made.
pub fn not_made(to: &Path, cause: impl std::fmt::Display) -> Fault {
    let fault = fault::SEED_NOT_MADE.cannot("make", to.display(), cause);
    fault.hint("look at the kernel's log, or name a seed on another volume")
}

/// Something that squashfs cannot hold.
#[must_use]
pub fn cannot_hold(to: &Path, path: &Path) -> Fault {
    let cause = format!("{} has a POSIX ACL, which squashfs does not keep", path.display());
    let fault = fault::SEED_NOT_MADE.cannot("make", to.display(), cause);
    fault.hint("give --format erofs, or leave --format out for a directory")
}
