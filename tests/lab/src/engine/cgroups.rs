//! The private engine's control groups: one directory in every hierarchy of version 1, or in the one of version 2.

use crate::{Result, machine};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The directories of a group (`/NAME`) that exist.
pub(super) fn directories(group: &str) -> Vec<PathBuf> {
    let roots = machine::cgroup_roots(&machine::mounts());
    let directories = roots.into_iter().map(|root| root.join(group.trim_start_matches('/')));
    directories.filter(|directory| directory.exists()).collect()
}

/// Removes a group and what is below it. A group with a process in it cannot be removed: EBUSY.
pub(super) fn remove(group: &str) -> Result<()> {
    for directory in directories(group) {
        remove_tree(&directory)
            .map_err(|error| format!("cannot remove `{}`: {error}", directory.display()))?;
    }
    Ok(())
}

fn remove_tree(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)?.filter_map(std::io::Result::ok) {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
