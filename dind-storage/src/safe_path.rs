//! Paths from users: checked as text first, then walked without following any symbolic link.

use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Directories of the system, with everything below them.
const SYSTEM: &[&str] =
    &["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr"];

/// Directories that hold the data of others, without what is below them.
const COMMON: &[&str] = &[
    "/", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var", "/var/lib", "/var/run",
    "/var/tmp",
];

/// An absolute path without `..`, in its shortest spelling.
///
/// # Errors
/// Says what is wrong with it.
pub fn plain(text: &str) -> Result<PathBuf, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("it contains control characters");
    }
    if !text.starts_with('/') {
        return Err("it is not absolute");
    }
    if Path::new(text).components().any(|part| part == Component::ParentDir) {
        return Err("it contains `..`");
    }
    // Collecting the components drops doubled slashes, `.` and a slash at the end.
    Ok(Path::new(text).components().collect())
}

/// Whether others use this directory: the engine's data, or a mount, would be in their way.
#[must_use]
pub fn is_system_directory(path: &Path) -> bool {
    COMMON.iter().any(|directory| path == Path::new(directory))
        || SYSTEM.iter().any(|directory| path.starts_with(directory))
}

/// Where an open file can be reached by path, whatever has become of its name (proc_pid_fd(5)).
#[must_use]
pub fn by_descriptor(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Opens a directory as a place only (`O_PATH`). No link is followed on any level (CVE-2026-27456: `O_NOFOLLOW` alone
/// checks the last name only).
///
/// # Errors
/// Some part of it does not exist, or is not a directory.
pub fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    let root = open("/", PLACE, Mode::empty())?;
    match path.strip_prefix("/") {
        Ok(below) if !below.as_os_str().is_empty() => inside(&root, below),
        _ => Ok(root),
    }
}

/// A directory below another, by openat2. Kernels before 5.6 do not have that call, and seccomp profiles of their time
/// answer EPERM. There, name after name is opened, which is equivalent: a name without a slash, opened with
/// `O_NOFOLLOW | O_DIRECTORY`, is a directory or an error. The path contains no `..`, see [`plain`].
fn inside(directory: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let no_links = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    match openat2(directory, below, OpenHow::new().flags(PLACE).resolve(no_links)) {
        Err(Errno::ENOSYS | Errno::EPERM) => name_by_name(directory, below),
        // Something was renamed on the machine meanwhile (openat2(2)).
        Err(Errno::EAGAIN | Errno::EINTR) => name_by_name(directory, below),
        opened => opened,
    }
}

fn name_by_name(directory: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let mut place = directory.try_clone().map_err(|_| Errno::EMFILE)?;
    for part in names(below) {
        place = openat(&place, part, PLACE, Mode::empty())?;
    }
    Ok(place)
}

/// Makes a directory in one that exists, with mode 0755. False: the name was there, as whatever it is.
///
/// # Errors
/// It cannot be made, or the path leads through a link.
pub fn make_directory(path: &Path) -> Result<bool, Fault> {
    let Some((parent, name)) = path.parent().zip(path.file_name()) else { return Ok(false) };
    let parent = open_directory(parent).map_err(|error| unusable(path, error))?;
    match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST) => Ok(false),
        Err(error) => {
            let fault = fault::DIRECTORY_NOT_MADE.cannot("make", path.display(), error.desc());
            Err(fault.hint("mount a volume there, or choose another path"))
        }
    }
}

/// Removes an empty directory, and never what a link in its place leads to.
///
/// # Errors
/// Those of unlinkat(2).
pub fn remove_directory(path: &Path) -> Result<(), Errno> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::EBUSY)?;
    unlinkat(&open_directory(parent)?, name, UnlinkatFlags::RemoveDir)
}

/// The same place, opened for reading: to list it, to sync it.
///
/// # Errors
/// Those of open(2).
pub fn readable(directory: &OwnedFd) -> Result<File, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(File::from(openat(directory, ".", flags, Mode::empty())?))
}

/// A path that [`open_directory`] cannot walk.
#[must_use]
pub fn unusable(path: &Path, error: Errno) -> Fault {
    match error {
        Errno::ENOTDIR | Errno::ELOOP => {
            let cause = "it leads through a symbolic link, or through something that is not a directory";
            let real = path.canonicalize().map_or_else(
                |_| "use a path of directories only".to_owned(),
                |real| format!("use the path it leads to: {}", real.display()),
            );
            fault::PATH_UNSAFE.cannot("open", path.display(), cause).hint(real)
        }
        error => {
            fault::PATH_UNSAFE.cannot("open", path.display(), error.desc()).hint("look at it with `namei -l`")
        }
    }
}

const PLACE: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

fn names(path: &Path) -> impl Iterator<Item = &std::ffi::OsStr> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

/// Opens the file that an `O_PATH` descriptor stands for.
///
/// # Errors
/// Those of open(2).
pub fn reopen(place: impl AsFd, flags: OFlag) -> Result<OwnedFd, Errno> {
    open(&by_descriptor(place.as_fd()), flags | OFlag::O_CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn plain_paths() {
        assert_eq!(plain("//srv/./docker//"), Ok(PathBuf::from("/srv/docker")));
        assert_eq!(plain("/"), Ok(PathBuf::from("/")));
        for text in ["", "srv", "./srv", "/srv/..", "/srv/../etc", "/a\nb"] {
            assert!(plain(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_link_is_followed_on_any_level() {
        let scratch = tempfile::tempdir().unwrap();
        let real = scratch.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join("a/b")).unwrap();
        symlink(real.join("a"), real.join("link")).unwrap();
        let root = open("/", PLACE, Mode::empty()).unwrap();
        for new_kernel in [true, false] {
            let way = |path: &Path| if new_kernel { open_directory(path) } else { name_by_name(&root, path) };
            assert!(way(&real.join("a/b")).is_ok());
            for path in ["link/b", "link"] {
                let error = way(&real.join(path)).unwrap_err();
                assert!(matches!(error, Errno::ENOTDIR | Errno::ELOOP), "{path}: {error}");
            }
            assert_eq!(way(&real.join("none")).unwrap_err(), Errno::ENOENT);
        }
        assert!(open_directory(Path::new("/proc/self/cwd")).is_err(), "a magic link was followed");
        let fault = make_directory(&real.join("link/c")).unwrap_err();
        assert_eq!(fault.code, fault::PATH_UNSAFE);
        assert!(remove_directory(&real.join("link/b")).is_err());
        assert!(!real.join("a/c").exists() && real.join("a/b").exists());
    }

    #[test]
    fn a_directory_is_made_once_and_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().canonicalize().unwrap().join("new");
        assert_eq!([make_directory(&path), make_directory(&path)], [Ok(true), Ok(false)]);
        assert_eq!(remove_directory(&path), Ok(()));
        assert!(!path.exists());
    }
}
