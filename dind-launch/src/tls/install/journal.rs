//! File by file, for a directory that cannot be exchanged.

use super::{Files, write};
use crate::tls::layout::{COMMITTED, DIRECTORIES, FILES, STAGING, UNFINISHED};
use nix::errno::Errno;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

pub(super) fn install(directory: &Path, files: &Files) -> io::Result<()> {
    let (unfinished, committed) = (directory.join(UNFINISHED), directory.join(COMMITTED));
    let marked = write_set(&unfinished, files).and_then(|()| fs::rename(&unfinished, &committed));
    if let Err(error) = marked {
        let _ = fs::remove_dir_all(directory.join(STAGING));
        return Err(error);
    }
    finish(directory)
}

/// Writes all files of a set to the disk.
pub(super) fn write_set(set: &Path, files: &Files) -> io::Result<()> {
    let staging = set.parent().unwrap_or(set);
    write::private_directory(staging)?;
    write::private_directory(set)?;
    for name in DIRECTORIES {
        write::private_directory(&set.join(name))?;
    }
    for (name, content) in files {
        write::file(&set.join(name), name, content)?;
    }
    for name in DIRECTORIES {
        write::sync_directory(&set.join(name))?;
    }
    write::sync_directory(set)
}

/// Moves the files of a complete set to their places. It may have been begun before.
pub(super) fn finish(directory: &Path) -> io::Result<()> {
    let staging = directory.join(STAGING);
    if !staging.exists() {
        return Ok(());
    }
    let committed = directory.join(COMMITTED);
    if committed.exists() {
        // The mark itself is on the disk before what it stands for changes.
        write::sync_directory(&staging)?;
        for name in FILES.iter().filter(|name| committed.join(name).exists()) {
            let place = directory.join(name);
            write::directory(place.parent().unwrap_or(directory))?;
            move_file(&committed.join(name), &place, name)?;
        }
        for name in DIRECTORIES.iter().map(|name| directory.join(name)).filter(|path| path.exists()) {
            write::sync_directory(&name)?;
        }
    }
    fs::remove_dir_all(&staging)?;
    write::sync_directory(directory)
}

/// A directory that is a mount of its own gets a copy first: readers see the old file or the new one there, too.
fn move_file(from: &Path, to: &Path, name: &str) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.raw_os_error() == Some(Errno::EXDEV as i32) => {}
        done => return done,
    }
    let file_name = to.file_name().unwrap_or_default().to_string_lossy();
    let copy = to.with_file_name(format!(".dind-tls-{file_name}"));
    match fs::remove_file(&copy) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write::file(&copy, name, &fs::read(from)?)?;
    fs::rename(&copy, to)
}
