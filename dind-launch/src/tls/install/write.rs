//! New files and directories, on the disk before anything refers to them.

use crate::tls::layout;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

/// Writes a new file; it is on the disk after [`sync`]. A key is its owner's alone from the first moment.
pub(super) fn file(path: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    // Whatever the umask of the caller is.
    file.set_permissions(Permissions::from_mode(layout::mode(name)))
}

/// Has files and directories on the disk. All at once: a journaling file system then commits them together, where one after the
/// other would wait for a commit each.
pub(super) fn sync(paths: &[PathBuf]) -> io::Result<()> {
    let one = |path: &PathBuf| File::open(path)?.sync_all();
    thread::scope(|scope| {
        let started: Vec<_> =
            paths.iter().map(|path| thread::Builder::new().spawn_scoped(scope, move || one(path))).collect();
        let mut outcome = Ok(());
        for (path, thread) in paths.iter().zip(started) {
            // Where there may be no more threads, this one will do.
            let synced =
                thread.map_or_else(|_| one(path), |thread| thread.join().unwrap_or_else(|_| one(path)));
            outcome = outcome.and(synced);
        }
        outcome
    })
}

/// Makes a directory that anybody may enter, unless it is there.
pub(super) fn directory(path: &Path) -> io::Result<()> {
    match make(path, 0o755) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Makes a directory that root alone may enter. One that is there already may be somebody else's.
pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    make(path, 0o700)
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Has the names in a directory on the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
