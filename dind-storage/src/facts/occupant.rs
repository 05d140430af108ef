//! Whether another node has the data root: two engines on one data root damage each other's data.
//!
//! A launcher holds a lock on the file with its node's name for as long as it lives. An engine, whoever has started it, locks
//! its databases. Both are asked; neither lock is kept here, and both are gone with their processes.

use crate::data_root::NAME;
use dind_system::{Root, record_lock};
use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// What is locked with flock(2) while a node runs: databases, by containerd and dockerd (bbolt, `db.go`), and the file with the
/// name, by a shell script that wants to be as careful as the launcher.
pub(crate) const FLOCKED: [&str; 3] =
    ["containerd/daemon/io.containerd.metadata.v1.bolt/meta.db", "volumes/metadata.db", NAME];

/// Who has the data root of a captured machine: no file of a real machine holds that.
const CAPTURED: &str = "/.dind/occupant";

/// How long a node that is just dying may keep its locks.
const DYING: Duration = Duration::from_millis(250);

/// Who has the data root, or had it last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occupant {
    /// The host name in the data root.
    pub name: Option<String>,
    /// Our own host name.
    pub own_name: Option<String>,
    /// Who has the data root now, where it is not this container.
    pub other: Option<String>,
    /// Whether an engine runs on it, in this container, too.
    pub engine: bool,
}

/// Looks at the data root.
#[must_use]
pub fn observe(root: &Root, data_root: &Path) -> Occupant {
    let text = |path: &Path| Some(root.read(path).ok()?.trim().to_owned()).filter(|text| !text.is_empty());
    let own_name = text(Path::new("/proc/sys/kernel/hostname"));
    let name = text(&data_root.join(NAME));
    if !root.is_host() {
        return Occupant { name, own_name, other: text(Path::new(CAPTURED)), engine: false };
    }
    let deadline = Instant::now() + DYING;
    let is_taken = loop {
        let is_taken = is_locked_by_another(data_root);
        if !is_taken || Instant::now() > deadline {
            break is_taken;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let other = is_taken.then(|| match name.as_deref().filter(|name| Some(*name) != own_name.as_deref()) {
        Some(name) => format!("the node `{name}`"),
        None => "another node or engine".to_owned(),
    });
    let databases = FLOCKED.iter().filter(|name| **name != NAME);
    let engine = databases.filter_map(|name| open(data_root, name)).any(|file| is_flocked(&file));
    Occupant { name, own_name, other, engine }
}

/// What cannot be opened is not known to be locked: the caller is not root, or the file system has no locks.
fn is_locked_by_another(data_root: &Path) -> bool {
    let by_launcher = open(data_root, NAME).and_then(|file| record_lock::holder(&file).ok().flatten());
    by_launcher.is_some_and(|pid| is_elsewhere(pid.as_raw()))
        || FLOCKED.iter().filter_map(|name| open(data_root, name)).any(|file| is_flocked_elsewhere(&file))
}

fn open(data_root: &Path, name: &str) -> Option<File> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    OpenOptions::new().read(true).custom_flags(flags).open(data_root.join(name)).ok()
}

/// A shared lock is tried, and gone at once with the file: two that look at the same time see each other as nothing.
fn is_flocked(file: &File) -> bool {
    #[allow(deprecated)] // nix's `Flock` takes the file; `image::lock` says why there is one way here
    let locked = nix::fcntl::flock(file.as_raw_fd(), FlockArg::LockSharedNonblock);
    locked == Err(Errno::EWOULDBLOCK)
}

fn is_flocked_elsewhere(file: &File) -> bool {
    let Ok(meta) = file.metadata() else { return false };
    is_flocked(file) && holders_of(meta.ino()).into_iter().all(is_elsewhere)
}

/// The processes that hold a lock of flock(2) on a file, as far as our PID namespace shows them (proc_locks(5)).
fn holders_of(inode: u64) -> Vec<i32> {
    let suffix = format!(":{inode}");
    let holder = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words[..] else { return None };
        file.ends_with(&suffix).then(|| pid.parse().ok()).flatten()
    };
    fs::read_to_string("/proc/locks").unwrap_or_default().lines().filter_map(holder).collect()
}

/// Whether a process is in another container: we do not see it, or it sees other mounts.
pub(crate) fn is_elsewhere(pid: i32) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt"));
    match (namespace(&pid.to_string()), namespace("self")) {
        (Ok(theirs), Ok(ours)) => theirs != ours,
        _ => pid == 0,
    }
}
