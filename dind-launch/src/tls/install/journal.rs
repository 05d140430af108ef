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
    let new = files.keys().copied().chain(DIRECTORIES).map(|name| set.join(name));
    write::sync(&new.chain([set.to_owned()]).collect::<Vec<_>>())
}

/// Moves the files of a complete set to their places. It may have been begun before.
pub(super) fn finish(directory: &Path) -> io::Result<()> {
    let staging = directory.join(STAGING);
    if !staging.try_exists()? {
        return Ok(());
    }
    let committed = directory.join(COMMITTED);
    if committed.try_exists()? {
        // The mark itself is on the disk before what it stands for changes.
        write::sync_directory(&staging)?;
        for name in DIRECTORIES {
            write::directory(&directory.join(name))?;
        }
        for name in FILES {
            // An error that is not the kernel's word for "not there" must not cost the file.
            if committed.join(name).try_exists()? {
                move_file(&committed.join(name), &directory.join(name), name)?;
            }
        }
        let places = DIRECTORIES.iter().map(|name| directory.join(name)).filter(|path| path.exists());
        write::sync(&places.collect::<Vec<_>>())?;
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
    write::sync(std::slice::from_ref(&copy))?;
    fs::rename(&copy, to)
}
