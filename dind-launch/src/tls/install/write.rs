//! New files and directories, on the disk before anything refers to them.

use crate::tls::layout;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes a new file. A key is its owner's alone from the first moment.
pub(super) fn file(path: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    // Whatever the umask of the caller is.
    file.set_permissions(Permissions::from_mode(layout::mode(name)))?;
    file.sync_all()
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
