//! The files that belong to root of the node. Those of the image belong to the machine's root, who is nobody there, and they have
//! to: the engine outside runs programs of the container as the machine's root (`docker exec`, health checks). So what a node
//! writes to are copies, which are mounted over the originals in the node alone; programs stay as they are.

use super::map::{Ids, Map};
use dind_system::Root;
use dind_system::proc::{self, Mount, mount_of};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, fchownat};
use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where the copies lie. The directory above is the machine's root's, so that nothing of the node gets in the way of a start.
pub(super) const COPIES: &str = "/.dind/files";

/// While they are made.
const UNFINISHED: &str = "/.dind/unfinished";

/// State that both sides see: the socket of the engine is there.
const RUN: &str = "/run";

/// Directories below `/` that hold programs, are the kernel's, or may be written to by anybody.
const NOT_COPIED: [&str; 16] = [
    "bin",
    "boot",
    "dev",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "opt",
    "proc",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    ".dind",
    "lost+found",
];

/// What of the container's files becomes the node's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// The directories that are copied.
    pub(super) directories: Vec<PathBuf>,
    /// What is mounted in them: it is mounted in the copies, too. None of them lies below another.
    pub(super) mounts: Vec<PathBuf>,
    /// Everything that is mounted anywhere.
    points: BTreeSet<PathBuf>,
}

impl Files {
    /// Looks which there are.
    ///
    /// # Errors
    /// Those of reading the root directory and the mounts.
    pub(super) fn read(root: &Root) -> io::Result<Self> {
        let mounts = proc::mounts(root)?;
        let is_directory = |name: &String| {
            fs::symlink_metadata(root.path(format!("/{name}"))).is_ok_and(|found| found.is_dir())
        };
        let names = root.list("/")?;
        let names = names.into_iter().filter(|name| !NOT_COPIED.contains(&name.as_str()));
        let directories = names.filter(is_directory).map(|name| Path::new("/").join(name));
        Ok(Self::of(directories.collect(), &mounts))
    }

    fn of(mut directories: Vec<PathBuf>, mounts: &[Mount]) -> Self {
        let points: BTreeSet<PathBuf> = mounts.iter().map(|mount| mount.point.clone()).collect();
        directories.retain(|directory| !points.contains(directory));
        let mut topmost: Vec<PathBuf> = Vec::new();
        // Sorted by path, so that what lies above comes first.
        for point in &points {
            let inside = directories.iter().any(|directory| point.starts_with(directory));
            if inside && !topmost.iter().any(|above| point.starts_with(above)) {
                topmost.push(point.clone());
            }
        }
        Self { directories, mounts: topmost, points }
    }

    /// Makes the copies, unless an earlier start has made them; all of them or none. `/run` is given away as it is. Returns whether
    /// anything was done.
    ///
    /// # Errors
    /// Those of copying, with the path.
    pub(super) fn copy(&self, map: &Map) -> Result<bool, (PathBuf, io::Error)> {
        let at = |path: &str| PathBuf::from(path);
        if Path::new(COPIES).exists() {
            // Only itself: what lies in it may be the node's work by now.
            return change_owner(Path::new(RUN), map).map(|()| false).map_err(|error| (at(RUN), error));
        }
        let unfinished = Path::new(UNFINISHED);
        match fs::remove_dir_all(unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err((at(UNFINISHED), error)),
            _ => {}
        }
        fs::create_dir_all(unfinished).map_err(|error| (at(UNFINISHED), error))?;
        self.give_tree(Path::new(RUN), map)?;
        for directory in &self.directories {
            let name = directory.strip_prefix("/").unwrap_or(directory);
            self.copy_tree(directory, &unfinished.join(name), map)?;
        }
        fs::rename(unfinished, COPIES).map(|()| true).map_err(|error| (at(COPIES), error))
    }

    fn copy_tree(&self, from: &Path, to: &Path, map: &Map) -> Result<(), (PathBuf, io::Error)> {
        let at = |error| (from.to_owned(), error);
        let metadata = fs::symlink_metadata(from).map_err(at)?;
        let is_mounted = self.mounts.iter().any(|mount| mount == from);
        if metadata.is_dir() {
            fs::create_dir(to).map_err(at)?;
            let entries = if is_mounted { None } else { Some(fs::read_dir(from).map_err(at)?) };
            for entry in entries.into_iter().flatten() {
                let name = entry.map_err(at)?.file_name();
                self.copy_tree(&from.join(&name), &to.join(&name), map)?;
            }
        } else if metadata.is_symlink() {
            fs::read_link(from).and_then(|target| symlink(target, to)).map_err(at)?;
        } else if metadata.is_file() && is_mounted {
            File::create(to).map_err(at)?;
        } else if metadata.is_file() {
            fs::copy(from, to).map_err(at)?;
        } else {
            // Sockets, pipes and devices of an image are nobody's data.
            return Ok(());
        }
        finish(to, &metadata, map).map_err(at)
    }

    /// Gives a directory to the node with all that is in it, but not what is mounted there.
    fn give_tree(&self, path: &Path, map: &Map) -> Result<(), (PathBuf, io::Error)> {
        let at = |error| (path.to_owned(), error);
        if fs::symlink_metadata(path).map_err(at)?.is_dir() {
            for entry in fs::read_dir(path).map_err(at)? {
                let below = entry.map_err(at)?.path();
                if !self.points.contains(&below) {
                    self.give_tree(&below, map)?;
                }
            }
        }
        change_owner(path, map).map_err(at)
    }
}

fn ids(metadata: &Metadata) -> Ids {
    Ids { user: metadata.uid(), group: metadata.gid() }
}

/// Gives a copy its owner, and then the rest, which the change of owner takes away in part.
fn finish(path: &Path, original: &Metadata, map: &Map) -> io::Result<()> {
    chown(path, map.owner(ids(original)))?;
    if original.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(original.mode() & 0o7777))?;
    let times = FileTimes::new().set_modified(original.modified()?);
    File::open(path)?.set_times(times)
}

/// Gives a file to the node, unless it is the node's.
fn change_owner(path: &Path, map: &Map) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let nodes = map.owner(Ids { user: 0, group: 0 });
    if metadata.uid() >= nodes.user { Ok(()) } else { chown(path, map.owner(ids(&metadata))) }
}

/// As lchown(2).
fn chown(path: &Path, owner: Ids) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
    let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
    Ok(fchownat(nix::fcntl::AT_FDCWD, path, Some(user), Some(group), flags)?)
}

/// Gives a directory on a volume to the node. One that holds something stays as it is: whose that is, its owner says.
///
/// # Errors
/// [`Errno::ENOTEMPTY`] where it belongs to somebody else and is not empty; otherwise those of reading it.
pub(super) fn give_volume(root: &Root, path: &Path, map: &Map) -> io::Result<()> {
    let mounts = proc::mounts(root)?;
    let on_a_volume = mount_of(&mounts, path).is_some_and(|mount| mount.point != Path::new("/"));
    let Some(metadata) = fs::symlink_metadata(path).ok().filter(|found| on_a_volume && found.is_dir()) else {
        return Ok(());
    };
    let nodes = map.owner(Ids { user: 0, group: 0 });
    if metadata.uid() == nodes.user {
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?;
    if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lost+found")) {
        return Err(Errno::ENOTEMPTY.into());
    }
    chown(path, nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::parse_mounts;

    #[test]
    fn what_is_mounted_in_a_copied_directory_comes_along_once() {
        let line = |point: &str| format!("1 0 0:9 / {point} rw - ext4 /dev/x rw\n");
        let points = ["/", "/etc/hosts", "/var/lib/docker", "/var/lib/docker/below", "/srv", "/proc"];
        let mounts = parse_mounts(&points.map(line).concat());
        let directories = ["/etc", "/srv", "/var"].map(PathBuf::from).to_vec();
        let files = Files::of(directories, &mounts);
        assert_eq!(files.directories, ["/etc", "/var"].map(PathBuf::from), "a volume is the user's");
        assert_eq!(files.mounts, ["/etc/hosts", "/var/lib/docker"].map(PathBuf::from));
    }
}
