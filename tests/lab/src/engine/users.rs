//! Who uses a private engine. Each holds a shared lock of one file, and what ends the engine an exclusive one: it ends with the last,
//! unless somebody keeps it. A lock goes with its process, however that ends.

use super::paths::Paths;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io;

/// Somebody who uses the engine.
#[derive(Debug)]
pub(super) struct User(Flock<File>);

/// Nobody uses the engine, or begins to, as long as this is there.
#[derive(Debug)]
pub(super) struct Unused(#[expect(dead_code, reason = "held")] Flock<File>);

impl User {
    /// Waits for an engine that is about to end.
    pub(super) fn begin(paths: &Paths) -> io::Result<Self> {
        Ok(Self(lock(open(paths)?, FlockArg::LockShared)?))
    }

    /// Ends the use. Nothing where somebody else uses it.
    pub(super) fn end(self) -> io::Result<Option<Unused>> {
        let file = self.0.unlock().map_err(|(_, error)| error)?;
        match lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(alone) => Ok(Some(Unused(alone))),
            Err(Errno::EWOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Unused {
    /// Waits until it is so.
    pub(super) fn wait(paths: &Paths) -> io::Result<Self> {
        Ok(Self(lock(open(paths)?, FlockArg::LockExclusive)?))
    }
}

fn lock(file: File, how: FlockArg) -> Result<Flock<File>, Errno> {
    Flock::lock(file, how).map_err(|(_, error)| error)
}

fn open(paths: &Paths) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).open(paths.users())
}

/// Has the engine stay until `cargo xtask down`.
pub(super) fn keep(paths: &Paths) -> io::Result<()> {
    fs::write(paths.kept(), "")
}

/// Whether it is to stay.
pub(super) fn is_kept(paths: &Paths) -> bool {
    paths.kept().exists()
}

/// A new engine is not kept.
pub(super) fn forget(paths: &Paths) {
    let _ = fs::remove_file(paths.kept());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_ends_it_and_who_comes_then_waits() {
        let directory = std::env::temp_dir().join(format!("dind-users-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = |name: &str| directory.join(name);
        let paths = Paths {
            run: path("run"),
            engine: directory.clone(),
            state: path("state"),
            cgroup: String::new(),
        };
        let [first, second] = [(); 2].map(|()| User::begin(&paths).unwrap());
        assert!(first.end().unwrap().is_none());
        let unused = second.end().unwrap().unwrap();
        let refused = |how| lock(open(&paths).unwrap(), how).err() == Some(Errno::EWOULDBLOCK);
        assert!(refused(FlockArg::LockSharedNonblock));
        drop(unused);
        let third = User::begin(&paths).unwrap();
        assert!(refused(FlockArg::LockExclusiveNonblock));
        drop(third);
        drop(Unused::wait(&paths).unwrap());
        keep(&paths).unwrap();
        assert!(is_kept(&paths));
        forget(&paths);
        assert!(!is_kept(&paths));
        fs::remove_dir_all(directory).unwrap();
    }
}
