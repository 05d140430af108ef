//! One apply at a time in a directory: two nodes on one volume would overwrite each other's CA.

use crate::fault;
use dind_contract::{Fault, Warning};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long another one may take; it takes milliseconds.
const LIMIT: Duration = Duration::from_secs(20);
/// How often the lock is tried.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// The lock, or why there is none: file systems exist without.
pub(super) type Lock = Result<Flock<File>, Warning>;

/// Locks the directory itself, until the lock is dropped. It may be exchanged while we wait: then the new one is locked.
///
/// # Errors
/// [`fault::TLS_BUSY`]: another one takes too long. [`fault::TLS_NOT_READ`]: it cannot be opened.
pub(super) fn take(directory: &Path) -> Result<Lock, Fault> {
    let deadline = Instant::now() + LIMIT;
    let unreadable = |error: io::Error| {
        let hint = "DOCKER_TLS_CERTDIR has to be a directory that root can read";
        fault::TLS_NOT_READ.cannot("open", directory.display(), error).hint(hint)
    };
    loop {
        let file = File::open(directory).map_err(unreadable)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) if is_same(&lock, directory) => return Ok(Ok(lock)),
            Ok(_) => {}
            Err((_, Errno::EAGAIN | Errno::EINTR)) => sleep(TRY_EVERY),
            Err((_, errno)) => return Ok(Err(not_locked(directory, errno))),
        }
        if Instant::now() >= deadline {
            let cause = format!("another process has locked it for {} s", LIMIT.as_secs());
            let hint = "stop the other node that starts on this directory, or give each node one of its own";
            return Err(fault::TLS_BUSY.cannot("use", directory.display(), cause).hint(hint));
        }
    }
}

fn is_same(open: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    open.metadata().map(identity).ok() == fs::metadata(path).map(identity).ok()
}

fn not_locked(directory: &Path, errno: Errno) -> Warning {
    let message = format!("cannot lock {}: {}", directory.display(), errno.desc());
    Warning::new("tls-not-locked", message, "do not start two nodes at once on this directory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn of_a_directory_that_is_exchanged_the_new_one_is_locked() {
        let parent = tempfile::tempdir().unwrap();
        let path = |name| parent.path().join(name);
        fs::create_dir(path("certs")).unwrap();
        fs::create_dir(path("new")).unwrap();
        let first = take(&path("certs")).unwrap().unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let lock = take(&path("certs")).unwrap().unwrap();
                lock.metadata().unwrap().ino()
            });
            fs::rename(path("certs"), path("old")).unwrap();
            fs::rename(path("new"), path("certs")).unwrap();
            let new = fs::metadata(path("certs")).unwrap().ino();
            drop(first);
            assert_eq!(second.join().unwrap(), new);
        });
    }
}
