//! A seed that was given: whether it can be trusted, and what is in it.
//!
//! Whoever can write to a seed decides what runs in every container of its images. So each directory on the way to it is root's
//! alone; a sticky one, such as /tmp, is not. What root of another machine or namespace has put into it is trusted.

use super::manifest::{self, Loaded, Manifest};
use super::record::Record;
use super::{decide, metadata};
use crate::store::{DRIVER_DIRECTORY, Store};
use crate::{fault, safe_path};
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{Mount, mount_of};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A seed whose files can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// As it was given.
    pub path: PathBuf,
    /// Where its files are: the same, or where a seed that is a file is mounted.
    pub root: PathBuf,
    /// Its manifest.
    pub loaded: Loaded,
}

/// What was given as a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file system in a file.
    File,
}

/// What lies at the path of a seed.
///
/// # Errors
/// [`fault::SEED_MISSING`], or [`fault::SEED_UNSAFE`] for what others than root can change or lead elsewhere.
pub fn kind(root: &Root, path: &Path, in_user_namespace: bool) -> Result<Kind, Fault> {
    let place = if root.is_host() { path.to_owned() } else { root.path(path) };
    let file = fs::symlink_metadata(&place).map_err(|error| {
        let cause = match error.kind() {
            ErrorKind::NotFound => "there is no such directory or file".to_owned(),
            _ => error.to_string(),
        };
        let fault = fault::SEED_MISSING.cannot("use the seed", path.display(), cause);
        fault.hint("mount it there, or leave it out of DIND_STORAGE_SEED")
    })?;
    let kind = if file.is_file() { Kind::File } else { Kind::Directory };
    // The owner of a captured machine's files is whoever captured it.
    if root.is_host() {
        for above in path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            check_safe(above, SFlag::S_IFDIR, in_user_namespace)?;
        }
        let expected = if kind == Kind::File { SFlag::S_IFREG } else { SFlag::S_IFDIR };
        check_safe(path, expected, in_user_namespace)?;
    }
    Ok(kind)
}

impl Seed {
    /// Reads the seed whose files lie below `place`, and checks whether it can be used.
    ///
    /// # Errors
    /// It is no seed, others may change it, or it does not fit what it lies on.
    pub fn read(
        root: &Root,
        path: &Path,
        place: &Path,
        mounts: &[Mount],
        in_user_namespace: bool,
    ) -> Result<Self, Fault> {
        if root.is_host() {
            let parts = [
                (manifest::NAME, SFlag::S_IFREG),
                ("image", SFlag::S_IFDIR),
                (DRIVER_DIRECTORY, SFlag::S_IFDIR),
            ];
            for (name, kind) in parts.into_iter().filter(|(name, _)| place.join(name).exists()) {
                check_safe(&place.join(name), kind, in_user_namespace)?;
            }
        }
        let place = root.path(place);
        let loaded = Manifest::read(&place).map_err(|mut fault| {
            fault.message = fault.message.replace(&*place.to_string_lossy(), &path.to_string_lossy());
            fault
        })?;
        let seed = Self { path: path.to_owned(), root: place, loaded };
        let kind = mount_of(mounts, path).map_or("", |mount| mount.kind.as_str());
        // A seed that is a file lies on a file system of its own.
        if seed.root == *path && kind == "overlay" {
            seed.check_hidden()?;
        }
        if in_user_namespace {
            seed.check_visible()?;
        }
        Ok(seed)
    }

    /// Checks that everything beside the layers' files is as it was sealed, if this seed is new to the data root.
    ///
    /// # Errors
    /// [`fault::SEED_INVALID`]
    pub fn check_if_new(&self, record: &Record) -> Result<(), Fault> {
        if decide::is_known(record, &self.path, &self.loaded.digest) {
            return Ok(());
        }
        let found = metadata::digest(&self.root).map_err(|error| error.fault(&self.path))?;
        if found != self.loaded.manifest.digest {
            return Err(manifest::invalid(
                &self.path,
                "its files are not those that were sealed: their digest is another",
            ));
        }
        Ok(())
    }

    /// An overlay that is mounted in a user namespace does not see attributes `trusted.overlay.*`: files that a layer hides by them
    /// would be there again (Documentation/filesystems/overlayfs.rst, "User xattr").
    fn check_visible(&self) -> Result<(), Fault> {
        let Some(hiding) = self.loaded.manifest.layers.iter().find(|layer| layer.hides_files) else {
            return Ok(());
        };
        let cause = format!(
            "in a user namespace, files that its layer {} hides would be there again",
            hiding.chain_id.short()
        );
        let fault = fault::SEED_UNSUITABLE.cannot("use the seed", self.path.display(), cause);
        Err(fault.hint("leave it out of DIND_STORAGE_SEED, or seal images alone whose layers hide nothing: seal --images"))
    }

    /// A seed that was copied into another overlay, as `docker build` does, has lost what hides files of lower layers: devices 0:0
    /// mean the same to the outer overlay, and its attributes are not copied. Where one is seen, they have been kept.
    fn check_hidden(&self) -> Result<(), Fault> {
        let store = Store::at(&self.root);
        let mut hiding = self.loaded.manifest.layers.iter().filter(|layer| layer.hides_files);
        let Some(lost) = hiding.find(|layer| !hides_files(&store.diff(&layer.cache_id))) else {
            return Ok(());
        };
        let cause = format!(
            "it lies on an overlay, which has swallowed what hides files in its layer {}",
            lost.chain_id.short()
        );
        let fault = fault::SEED_UNSUITABLE.cannot("use the seed", self.path.display(), cause);
        Err(fault.hint("use `dind-storage seal --format erofs`, or mount the directory as a volume"))
    }
}

/// Whether a device 0:0 is in a tree.
fn hides_files(directory: &Path) -> bool {
    fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| {
        let Ok(kind) = entry.file_type() else { return false };
        let is_whiteout = || entry.metadata().is_ok_and(|file| file.rdev() == 0);
        kind.is_char_device() && is_whiteout() || kind.is_dir() && hides_files(&entry.path())
    })
}

fn check_safe(path: &Path, expected: SFlag, in_user_namespace: bool) -> Result<(), Fault> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let unsafe_ = |cause: &str| fault::SEED_UNSAFE.cannot("use the seed in", path.display(), cause);
    let found = open(path, flags, Mode::empty()).and_then(fstat).map_err(|error| match error {
        Errno::ELOOP => safe_path::unusable(path, error),
        error => unsafe_(error.desc()).hint("look at it with `namei -l`"),
    })?;
    let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
    if kind == SFlag::S_IFLNK {
        let real = path
            .canonicalize()
            .map_or_else(|_| "a path of directories only".to_owned(), |real| real.display().to_string());
        return Err(unsafe_("it is a symbolic link").hint(format!("use {real}")));
    }
    if kind != expected {
        return Err(unsafe_("it is neither a directory nor a file system in a file")
            .hint("use what `dind-storage seal` has made"));
    }
    match objection(&found, in_user_namespace) {
        None => Ok(()),
        Some((cause, hint)) => Err(unsafe_(cause).hint(hint.replace('*', &path.display().to_string()))),
    }
}

fn objection(found: &FileStat, in_user_namespace: bool) -> Option<(&'static str, &'static str)> {
    if found.st_uid != 0 && in_user_namespace {
        return Some((
            "its owner is not root of this user namespace",
            "mount it with mapped users (`X-mount.idmap`), or put it into the node's image",
        ));
    }
    if found.st_uid != 0 {
        return Some(("its owner is not root", "chown -R 0:0 *, if you trust what is in it"));
    }
    (found.st_mode & 0o022 != 0).then_some((
        "others than root may write to it",
        "chmod go-w *; a directory that everybody may write to, such as /tmp, is no place for a seed",
    ))
}
