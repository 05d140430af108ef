//! Files beyond the mounts, and mounts.

use super::calls::open_root;
use nix::fcntl::{OFlag, openat};
use nix::mount::MsFlags;
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{Error, Read, Result, Write};

/// Opens a path from the root of the first file system that has it.
fn open(directories: &str, path: &str, flags: OFlag) -> Result<File> {
    let attempts = directories.split(',').map(|directory| {
        let root = open_root(&File::open(directory)?)?;
        Ok(File::from(openat(root, path, flags, Mode::empty())?))
    });
    attempts.reduce(Result::or).unwrap_or_else(|| Err(Error::other("no directory")))
}

pub(super) fn read(directories: &str, path: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(directories, path, OFlag::O_RDONLY)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn write(directories: &str, path: &str, text: &str) -> Result<()> {
    open(directories, path, OFlag::O_WRONLY | OFlag::O_TRUNC)?.write_all(text.as_bytes())
}

pub(super) fn mount(source: &str, target: &str) -> Result<()> {
    Ok(nix::mount::mount(Some(source), target, Some("tmpfs"), MsFlags::empty(), None::<&str>)?)
}

/// Flags of the mount that differ from those it has may be refused where the options would not be.
pub(super) fn remount(directory: &str, options: &str) -> Result<()> {
    let attempts = [MsFlags::MS_NOATIME, MsFlags::MS_RELATIME].map(|atime| {
        let flags = MsFlags::MS_REMOUNT | atime;
        nix::mount::mount(None::<&str>, directory, None::<&str>, flags, Some(options))
    });
    Ok(attempts.into_iter().reduce(nix::Result::or).unwrap_or(Ok(()))?)
}
