//! All at once: a new directory takes the place of the old one.

use super::{Files, write};
use crate::tls::layout::{DIRECTORIES, FILES};
use dind_system::{Root, proc};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// Whether the directory may be replaced: it holds nothing but docker:dind's files, and nothing is mounted on it or below it. What is
/// mounted would move away with the old one.
pub(super) fn is_possible(directory: &Path) -> bool {
    let mounts = proc::mounts(&Root::default());
    let is_mounted =
        mounts.map_or(true, |mounts| mounts.iter().any(|mount| mount.point.starts_with(directory)));
    !is_mounted && holds_nothing_else(directory).unwrap_or(false)
}

fn holds_nothing_else(directory: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !DIRECTORIES.contains(&name.as_str()) || !entry.file_type()?.is_dir() {
            return Ok(false);
        }
        for inner in fs::read_dir(entry.path())? {
            let inner = inner?;
            let path = format!("{name}/{}", inner.file_name().to_string_lossy());
            if !FILES.contains(&path.as_str()) || !inner.file_type()?.is_file() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Puts the new directory together, and exchanges the two. What stays as it is, with its owner and mode, is linked into both.
pub(super) fn install(directory: &Path, files: &Files) -> io::Result<()> {
    let Some(new) = beside(directory) else { return Err(io::ErrorKind::InvalidInput.into()) };
    remove_leftovers(directory);
    let exchanged = assemble(directory, &new, files).and_then(|()| {
        renameat2(AT_FDCWD, &new, AT_FDCWD, directory, RenameFlags::RENAME_EXCHANGE).map_err(io::Error::from)
    });
    // The old one, or a new one that could not take its place.
    let _ = fs::remove_dir_all(&new);
    exchanged?;
    directory.parent().map_or(Ok(()), write::sync_directory)
}

/// Removes what an apply left that was killed, before or after the exchange.
pub(super) fn remove_leftovers(directory: &Path) {
    if let Some(path) = beside(directory).filter(|path| path.exists()) {
        let _ = fs::remove_dir_all(path);
    }
}

/// The place of a new directory.
fn beside(directory: &Path) -> Option<PathBuf> {
    let name = directory.file_name()?.to_string_lossy();
    Some(directory.with_file_name(format!(".{name}.dind-tls")))
}

fn assemble(directory: &Path, new: &Path, files: &Files) -> io::Result<()> {
    write::private_directory(new)?;
    for name in DIRECTORIES {
        write::directory(&new.join(name))?;
        take_over(&directory.join(name), &new.join(name))?;
    }
    for name in FILES {
        let (old, place) = (directory.join(name), new.join(name));
        match files.get(name) {
            Some(content) => write::file(&place, name, content)?,
            // One that cannot be seen may be there all the same: only the kernel's word for "not there" is taken for it.
            None => absent_is_fine(fs::hard_link(old, place))?,
        }
    }
    let mut written: Vec<_> = files.keys().map(|name| new.join(name)).collect();
    for inner in DIRECTORIES.map(|name| new.join(name)) {
        if fs::read_dir(&inner)?.next().is_none() {
            fs::remove_dir(inner)?;
        } else {
            written.push(inner);
        }
    }
    take_over(directory, new)?;
    written.push(new.to_owned());
    write::sync(&written)
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Gives a new directory the owner and the mode of an old one, if there is one.
fn take_over(old: &Path, new: &Path) -> io::Result<()> {
    let metadata = match fs::metadata(old) {
        Err(error) => return absent_is_fine(Err(error)),
        Ok(metadata) => metadata,
    };
    chown(new, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(new, metadata.permissions())
}
