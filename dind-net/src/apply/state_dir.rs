//! The state before the first change, written down before it is made: what a later run finishes, or gives back.

use crate::change::Bridging;
use crate::fault;
use crate::net::Net;
use dind_contract::{Fault, Root};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the journal and the iptables links lie by default.
pub const DEFAULT_FOLDER: &str = "/run/dind";

/// The journal's name in it.
const NAME: &str = "net.json";

/// The journal's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// What is being bridged.
    pub bridging: Bridging,
    /// The uplink's number, which tells a new namespace from the old one.
    pub uplink_index: u32,
    /// The uplink and all that was on it.
    pub before: Net,
}

impl Journal {
    /// Whether it speaks of this network namespace in its present life.
    ///
    /// The bridge is the first thing made and the last one removed, so without it there is nothing to finish. A
    /// container that starts again keeps its files but gets a new namespace: no bridge, or another uplink.
    #[must_use]
    pub fn is_live(&self, net: &Net) -> bool {
        net.link(&self.bridging.bridge).is_some()
            && net.link(&self.bridging.uplink).is_some_and(|link| {
                link.index == self.uplink_index && link.mac.as_deref() == Some(&self.bridging.mac)
            })
    }
}

/// The folder that holds the journal.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the folder and keeps other runs out until the lock is dropped.
    ///
    /// # Errors
    /// [`fault::JOURNAL_FAILED`], and [`fault::BUSY`] when another run holds the lock.
    pub fn lock(&self) -> Result<Flock<File>, Fault> {
        let failed = |error: io::Error| {
            fault::JOURNAL_FAILED
                .cannot("use", self.0.display(), error)
                .hint("make the folder writable, or choose another one with DIND_NET_STATE")
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

    /// Writes the journal.
    ///
    /// # Errors
    /// [`fault::JOURNAL_FAILED`].
    pub fn write(&self, journal: &Journal) -> Result<(), Fault> {
        self.write_json(NAME, journal).map_err(|error| {
            fault::JOURNAL_FAILED
                .cannot("write", self.join(NAME).display(), error)
                .hint("make the folder writable, or choose another one with DIND_NET_STATE")
        })
    }

    /// Removes the journal, if there is one.
    ///
    /// # Errors
    /// [`fault::JOURNAL_FAILED`].
    pub fn clear(&self) -> Result<(), Fault> {
        self.remove(NAME).map_err(|error| {
            fault::JOURNAL_FAILED.cannot("remove", self.join(NAME).display(), error).hint("remove it by hand")
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

    /// Removes a file, if there is one.
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

/// Reads a journal below `root`; nothing where there is none.
///
/// # Errors
/// [`fault::READ_FAILED`], also for one that cannot be understood: it may hold the only copy of the routes.
pub fn read(root: &Root, folder: &Path) -> Result<Option<Journal>, Fault> {
    let path = folder.join(NAME);
    let text = root.read_opt(&path).map_err(|error| fault::unreadable(path.display(), error))?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| {
        fault::READ_FAILED
            .cannot("read", path.display(), error)
            .hint("remove the file if this container was started anew; its network is as Docker made it")
    })
}
