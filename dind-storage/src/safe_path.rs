//! Paths from users: read as text first, then walked without following any link.

use crate::fault;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, mkdirat};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Folders that hold the system, with all that is below them.
const SYSTEM: &[&str] =
    &["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr"];

/// Folders that hold others' data, but not what is below them.
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
        return Err("it has control characters");
    }
    if !text.starts_with('/') {
        return Err("it is not absolute");
    }
    if Path::new(text).components().any(|part| part == Component::ParentDir) {
        return Err("it has `..` in it");
    }
    // Collecting the components drops doubled slashes, `.` and a slash at the end.
    Ok(Path::new(text).components().collect())
}

/// Whether the engine's data, or a mount, would be in the way of something else there.
#[must_use]
pub fn is_system_folder(path: &Path) -> bool {
    COMMON.iter().any(|folder| path == Path::new(folder))
        || SYSTEM.iter().any(|folder| path.starts_with(folder))
}

/// The folder and the name of a file.
///
/// # Errors
/// The path is `/`.
pub fn split(path: &Path) -> Result<(&Path, &str), Fault> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent().zip(name).ok_or_else(|| {
        let fault = fault::PATH_INVALID.cannot("use", path.display(), "it does not name a file");
        fault.hint("set DIND_STORAGE_IMAGE to a file, such as /data/docker")
    })
}

/// Where an open file can be reached by path, whatever has become of its name (proc_pid_fd(5)).
#[must_use]
pub fn by_descriptor(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Opens a folder as a place only (`O_PATH`). No link is followed on any level (CVE-2026-27456: `O_NOFOLLOW` alone looks
/// at the last name only).
///
/// # Errors
/// Some part of it does not exist, or is no folder.
pub fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    let root = open("/", PLACE, Mode::empty())?;
    match path.strip_prefix("/") {
        Ok(below) if !below.as_os_str().is_empty() => inside(&root, below),
        _ => Ok(root),
    }
}

/// A folder below another, by openat2. Kernels before 5.6 do not have that call, and seccomp profiles of their time
/// answer EPERM; there, name after name is opened, which comes to the same: a name without a slash,
/// opened with `O_NOFOLLOW | O_DIRECTORY`, is a folder or an error. The path has no `..`, see [`plain`].
fn inside(folder: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let no_links = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    match openat2(folder, below, OpenHow::new().flags(PLACE).resolve(no_links)) {
        Err(Errno::ENOSYS | Errno::EPERM) => name_by_name(folder, below),
        // Somebody renamed something on the machine meanwhile (openat2(2)).
        Err(Errno::EAGAIN | Errno::EINTR) => name_by_name(folder, below),
        opened => opened,
    }
}

fn name_by_name(folder: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let mut place = folder.try_clone().map_err(|_| Errno::EMFILE)?;
    for part in names(below) {
        place = openat(&place, part, PLACE, Mode::empty())?;
    }
    Ok(place)
}

/// Opens a folder as [`open_folder`] does, and makes what is missing of it, with mode 0755.
/// `made` is called with each folder that was not there.
///
/// # Errors
/// A folder cannot be made, or the path leads through a link.
pub fn make_folder(path: &Path, mut made: impl FnMut(&Path)) -> Result<OwnedFd, Fault> {
    let mut folder = open("/", PLACE, Mode::empty()).map_err(|error| unusable(path, error))?;
    let mut so_far = PathBuf::from("/");
    for part in names(path) {
        so_far.push(part);
        match mkdirat(&folder, part, Mode::from_bits_truncate(0o755)) {
            Ok(()) => made(&so_far),
            Err(Errno::EEXIST) => {}
            Err(error) => {
                let fault = fault::FOLDER_NOT_MADE.cannot("make", so_far.display(), error.desc());
                return Err(fault.hint("mount a volume there, or choose another path"));
            }
        }
        folder = inside(&folder, Path::new(part)).map_err(|error| unusable(path, error))?;
    }
    Ok(folder)
}

/// The same place, opened for reading: to list it, to sync it.
///
/// # Errors
/// Those of open(2).
pub fn readable(folder: &OwnedFd) -> Result<File, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(File::from(openat(folder, ".", flags, Mode::empty())?))
}

/// A path that [`open_folder`] or [`make_folder`] cannot walk.
#[must_use]
pub fn unusable(path: &Path, error: Errno) -> Fault {
    match error {
        Errno::ENOTDIR | Errno::ELOOP => {
            let cause = "it leads through a symbolic link, or through something that is no folder";
            let real = path.canonicalize().map_or_else(
                |_| "use a path of folders only".to_owned(),
                |real| format!("use the path that it leads to: {}", real.display()),
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

/// Opens what an `O_PATH` descriptor stands for.
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
            let way = |path: &Path| if new_kernel { open_folder(path) } else { name_by_name(&root, path) };
            assert!(way(&real.join("a/b")).is_ok());
            for path in ["link/b", "link"] {
                let error = way(&real.join(path)).unwrap_err();
                assert!(matches!(error, Errno::ENOTDIR | Errno::ELOOP), "{path}: {error}");
            }
            assert_eq!(way(&real.join("none")).unwrap_err(), Errno::ENOENT);
        }
        assert!(open_folder(Path::new("/proc/self/cwd")).is_err(), "a magic link was followed");
        let fault = make_folder(&real.join("link/c"), |_| {}).unwrap_err();
        assert_eq!(fault.code, fault::PATH_UNSAFE);
        assert!(!real.join("a/c").exists());
        let mut made = Vec::new();
        make_folder(&real.join("a/b/c/d"), |path| made.push(path.to_owned())).unwrap();
        assert_eq!(made, [real.join("a/b/c"), real.join("a/b/c/d")]);
    }
}
