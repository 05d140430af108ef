//! The data root that is sealed: nobody uses it, and nobody begins to as long as it is read.

use crate::facts::content::has_containerd_images;
use crate::facts::occupant::FLOCKED;
use crate::{data_root, fault};
use dind_contract::Fault;
use dind_system::{Root, record_lock};
use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an engine that is just dying may keep its locks.
const DYING: Duration = Duration::from_millis(250);

/// The locks of a data root. They end with this, or with the process.
#[derive(Debug)]
pub struct Locked {
    _node: Option<File>,
    _databases: Vec<File>,
}

/// Locks a data root. A node that is started meanwhile is refused; an engine that is started without one waits for its
/// databases. Unlike an apply, which may find the engine of its own container, this asks whoever has them.
///
/// # Errors
/// [`fault::DATA_ROOT_IN_USE`]: a node or an engine has it.
pub fn lock(path: &Path) -> Result<Locked, Fault> {
    let deadline = Instant::now() + DYING;
    loop {
        match try_lock(path) {
            Ok(Some(locked)) => return Ok(locked),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => return Err(in_use(path)),
            Err(error) => {
                let fault = fault::DATA_ROOT_UNSUITABLE.cannot("lock", path.display(), error);
                return Err(fault.hint("copy the data root to a file system that has locks, and seal that"));
            }
        }
    }
}

fn try_lock(path: &Path) -> io::Result<Option<Locked>> {
    let mut databases = Vec::new();
    for name in FLOCKED {
        // A script's lock on the file with the name is asked for and let go: it has the same file as ours, below.
        match open(OpenOptions::new().read(true), &path.join(name)) {
            Ok(file) if !flock_shared(&file)? => return Ok(None),
            Ok(file) if name != data_root::NAME => databases.push(file),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // The process loses this lock with any other descriptor of the file that it closes: nothing here opens it again.
    let node = open(OpenOptions::new().write(true).create(true).truncate(false), &path.join(data_root::NAME));
    let node = match node {
        Ok(file) if record_lock::take(&file)? => Some(file),
        Ok(_) => return Ok(None),
        // No engine can start on it by this path either.
        Err(error) if error.raw_os_error() == Some(Errno::EROFS as i32) => None,
        Err(error) => return Err(error),
    };
    Ok(Some(Locked { _node: node, _databases: databases }))
}

fn open(how: &mut OpenOptions, path: &Path) -> io::Result<File> {
    how.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)
}

/// A shared lock keeps an engine away, and is had on a file that is open for reading, on NFS, too.
fn flock_shared(file: &File) -> io::Result<bool> {
    #[allow(deprecated)] // nix's `Flock` takes the file; `image::lock` says why there is one way here
    match nix::fcntl::flock(file.as_raw_fd(), FlockArg::LockSharedNonblock) {
        Ok(()) => Ok(true),
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn in_use(path: &Path) -> Fault {
    let name = fs::read_to_string(path.join(data_root::NAME)).unwrap_or_default();
    let cause = match name.trim() {
        "" => "a node or an engine has it".to_owned(),
        name => format!("the node `{name}` or its engine has it"),
    };
    fault::DATA_ROOT_IN_USE.cannot("seal", path.display(), cause).hint("stop it: docker stop NODE")
}

/// Why there is no image to seal.
///
#[must_use]
pub fn without_images(path: &Path) -> Fault {
    let has_entries = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    let drivers = fs::read_dir(path.join("image")).into_iter().flatten().flatten();
    let mut drivers: Vec<_> = drivers
        .filter(|entry| has_entries(&entry.path().join("imagedb/content/sha256")))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    drivers.sort_unstable();
    let (cause, hint) = if !drivers.is_empty() {
        let cause = format!("its images are those of the driver {}", drivers.join(", "));
        (cause, "load the images into an engine with --storage-driver overlay2, and seal its data root")
    } else if has_containerd_images(&Root::default(), path) {
        let hint =
            "load the images into a node with DIND_STORAGE_STORE=graph on a new data root, and seal that";
        ("its images are in containerd's image store".to_owned(), hint)
    } else {
        let hint = "load or pull the images first; a data root on a loop image has to be mounted: dind-storage apply";
        ("it has no images".to_owned(), hint)
    };
    fault::DATA_ROOT_UNSUITABLE.cannot("seal", path.display(), cause).hint(hint)
}
