//! The private engine's control groups: one folder in every hierarchy of version 1, or in the one of version 2.

use crate::Result;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folders of a group (`/NAME`) that exist.
pub(crate) fn folders(group: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let folders = hierarchies(&mounts).map(|mount| Path::new(mount).join(group.trim_start_matches('/')));
    folders.filter(|folder| folder.exists()).collect()
}

/// The mount points of version 1 and version 2 hierarchies.
fn hierarchies(mounts: &str) -> impl Iterator<Item = &str> {
    mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (target, kind) = (words.next()?, words.next()?);
        ["cgroup", "cgroup2"].contains(&kind).then_some(target)
    })
}

/// Removes a group and what is below it. A group with a process in it cannot be removed: EBUSY.
pub(crate) fn remove(group: &str) -> Result<()> {
    for folder in folders(group) {
        remove_tree(&folder).map_err(|error| format!("cannot remove `{}`: {error}", folder.display()))?;
    }
    Ok(())
}

fn remove_tree(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.filter_map(std::io::Result::ok) {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_versions_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\nproc /proc proc rw 0 0\n";
        let found: Vec<_> = super::hierarchies(mounts).collect();
        assert_eq!(found, ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"]);
    }
}
