//! The state directory: locked by one run at a time, and its files are written whole or not at all.

use crate::facts::original::{FILE, Original};
use crate::fault;
use dind_contract::Fault;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The state directory.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The directory at `path`.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the directory and keeps other runs out until the lock is dropped.
    ///
    /// # Errors
    /// [`fault::JOURNAL_FAILED`], and [`fault::BUSY`] when another run holds the lock.
    pub fn lock(&self) -> Result<Flock<File>, Fault> {
        let failed = |error: io::Error| {
            fault::JOURNAL_FAILED
                .cannot("use", self.0.display(), error)
                .hint("make the state directory writable, or choose another one with DIND_NET_STATE")
        };
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.0).map_err(failed)?;
        let path = self.join("net.lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed)?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            nix::errno::Errno::EWOULDBLOCK => fault::BUSY
                .cannot("lock", path.display(), "another dind-net is at work")
                .hint("wait until it has ended, and try again"),
            other => failed(other.into()),
        })
    }

    /// Writes the journal: what the uplink has before the first change.
    ///
    /// # Errors
    /// [`fault::JOURNAL_FAILED`].
    pub fn write_journal(&self, original: &Original) -> Result<(), Fault> {
        self.write_json(FILE, original).map_err(|error| {
            fault::JOURNAL_FAILED
                .cannot("write", self.join(FILE).display(), error)
                .hint("make the state directory writable, or choose another one with DIND_NET_STATE")
        })
    }

    /// Removes the journal, if it exists.
    ///
    /// # Errors
    /// [`fault::JOURNAL_FAILED`].
    pub fn remove_journal(&self) -> Result<(), Fault> {
        self.remove(FILE).map_err(|error| {
            fault::JOURNAL_FAILED.cannot("remove", self.join(FILE).display(), error).hint("remove it by hand")
        })
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write_json(&self, name: &str, content: &impl Serialize) -> io::Result<()> {
        let temporary = self.join(&format!("{name}.tmp"));
        fs::write(&temporary, serde_json::to_vec(content).map_err(io::Error::other)?)?;
        fs::rename(&temporary, self.join(name))
    }

    /// Removes a file, if it exists.
    ///
    /// # Errors
    /// Those of removing.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
