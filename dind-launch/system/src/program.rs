//! Where programs are: PATH as execvp(3) reads it.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use which::WhichConfig;
use which::sys::{RealSys, Sys};

/// Where helpers are looked for. A caller's `PATH` has no say in what root runs.
pub const HELPER_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program on PATH; nothing where it is not installed.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    config(name).first_result().ok()
}

/// A program on PATH, or where programs usually are: a PATH that was made for users has no sbin.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    on_path(name).or_else(|| on(HELPER_PATH, name))
}

/// A program on a path that is given: directories, separated by colons.
#[must_use]
pub fn on(path: &str, name: &str) -> Option<PathBuf> {
    config(name).custom_path_list(path.into()).custom_cwd("/".into()).first_result().ok()
}

fn config(name: &str) -> WhichConfig<Machine> {
    WhichConfig::new_with_sys(Machine).binary_name(name.into())
}

/// The machine without home directories. execvp(3) takes `~` for the name of a directory, too; and the look-up of a user brings
/// all of the C library's name services into a static program.
#[derive(Clone, Copy)]
struct Machine;

impl Sys for Machine {
    type ReadDirEntry = DirEntry;
    type Metadata = Metadata;

    fn home_dir(&self) -> Option<PathBuf> {
        None
    }

    fn is_windows(&self) -> bool {
        RealSys.is_windows()
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        RealSys.current_dir()
    }

    fn env_split_paths(&self, paths: &OsStr) -> Vec<PathBuf> {
        RealSys.env_split_paths(paths)
    }

    fn env_path(&self) -> Option<OsString> {
        RealSys.env_path()
    }

    fn env_path_ext(&self) -> Option<OsString> {
        None
    }

    fn env_windows_path_ext(&self) -> Cow<'static, [String]> {
        Cow::default()
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        RealSys.metadata(path)
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        RealSys.symlink_metadata(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Box<dyn Iterator<Item = io::Result<DirEntry>>>> {
        RealSys.read_dir(path)
    }

    fn is_valid_executable(&self, path: &Path) -> io::Result<bool> {
        RealSys.is_valid_executable(path)
    }
}
