//! A directory that may not exist yet: its mount, what is in it, what is missing on the way to it, and the space there.

use crate::data_root::NOT_DATA;
use crate::report::Space;
use crate::{fault, loopdev};
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{Mount, mount_of};
use nix::sys::statvfs::statvfs;
use std::path::{Path, PathBuf};

/// What can be written on a captured machine, and how large its file systems are, in bytes: no file of a real machine holds
/// it. Without the second number nothing is in use.
const CAPTURED_SPACE: &str = "/.dind/available-bytes";

/// A directory that may not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The directory.
    pub path: PathBuf,
    /// The mount that it lies in, or would.
    pub mount: Mount,
    /// Whether nothing is in it, apart from [`NOT_DATA`].
    pub empty: bool,
    /// The directories that are missing down to and including this one, the uppermost first.
    pub missing: Vec<PathBuf>,
    /// Space in its file system, where that is known.
    pub space: Option<Space>,
}

impl Directory {
    /// Whether a loop device is mounted at exactly this point.
    #[must_use]
    pub fn is_loop_mount(&self) -> bool {
        self.mount.point == self.path && self.mount.device.0 == loopdev::MAJOR
    }

    /// Whether it lies in a container's own layer, and is removed with the container.
    #[must_use]
    pub fn is_in_layer(&self) -> bool {
        matches!(self.mount.kind.as_str(), "overlay" | "aufs")
    }
}

/// Looks at a directory.
///
/// # Errors
/// No mount holds it: mountinfo is not that of a machine.
pub fn observe(root: &Root, mounts: &[Mount], path: PathBuf) -> Result<Directory, Fault> {
    let mount = mount_of(mounts, &path).cloned().ok_or_else(|| {
        let fault = fault::FACTS_UNREADABLE.cannot("find", path.display(), "no mount holds it");
        fault.hint("mount /proc in the container")
    })?;
    let inside = root.list(&path).unwrap_or_default();
    Ok(Directory {
        empty: inside.iter().all(|name| NOT_DATA.contains(&name.as_str())),
        space: space(root, &path),
        missing: missing(root, mounts, &path),
        mount,
        path,
    })
}

/// The path with links resolved once. What comes after uses the result and follows none.
#[must_use]
pub fn resolved(root: &Root, path: &Path) -> PathBuf {
    if !root.is_host() {
        return path.to_owned();
    }
    let existing = existing(root, path);
    let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
    existing.canonicalize().map_or_else(|_| path.to_owned(), |real| real.join(rest).components().collect())
}

/// The part of a path that exists.
#[must_use]
pub fn existing<'a>(root: &Root, path: &'a Path) -> &'a Path {
    path.ancestors().find(|path| root.exists(path)).unwrap_or(Path::new("/"))
}

/// A mount point exists, even where a captured machine holds no file of it.
fn missing(root: &Root, mounts: &[Mount], path: &Path) -> Vec<PathBuf> {
    let exists = |path: &&Path| root.exists(path) || mounts.iter().any(|mount| mount.point.starts_with(path));
    let mut missing: Vec<_> = path.ancestors().take_while(|path| !exists(path)).map(Path::to_owned).collect();
    missing.reverse();
    missing
}

/// Space in the file system of a directory, or of what exists of the way to it; nothing where it cannot be asked.
#[must_use]
pub fn space(root: &Root, path: &Path) -> Option<Space> {
    if root.is_host() {
        let stat = statvfs(existing(root, path)).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
        return Some(Space {
            total_bytes: bytes(stat.blocks()),
            used_bytes: bytes(stat.blocks().saturating_sub(stat.blocks_free())),
            available_bytes: bytes(stat.blocks_available()),
            needed_bytes: 0,
            total_inodes: stat.files(),
            available_inodes: stat.files_available(),
        });
    }
    let text = root.read(CAPTURED_SPACE).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let available_bytes = numbers.next()?.ok()?;
    let total_bytes = numbers.next().unwrap_or(Ok(available_bytes)).ok()?;
    let used_bytes = total_bytes.saturating_sub(available_bytes);
    Some(Space { total_bytes, used_bytes, available_bytes, ..Space::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::parse_mounts;

    #[test]
    fn what_is_missing_is_listed_from_above_and_a_mount_point_never_is() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(scratch.path().join("var/lib")).unwrap();
        let root = Root::at(scratch.path());
        let mounts =
            parse_mounts("1 0 0:1 / / rw - overlay overlay rw\n2 1 8:1 / /srv/a rw - ext4 /dev/sda1 rw\n");
        let missing = |path: &str| {
            let paths = missing(&root, &mounts, Path::new(path));
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(missing("/var/lib"), [""; 0]);
        assert_eq!(missing("/var/lib/x/y"), ["/var/lib/x", "/var/lib/x/y"]);
        assert_eq!(missing("/srv/a"), [""; 0]);
        assert_eq!(missing("/srv/b"), ["/srv/b"]);
        assert_eq!(missing("/"), [""; 0]);
    }
}
