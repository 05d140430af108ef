//! A file system in a file, made of the layers where they lie: nothing is copied on the way.
//!
//! The tree that mkfs reads is a tmpfs with the metadata, and with the layers bound below it, read-only. It exists in a mount
//! namespace of this process alone, so that nothing of it outlives the process. Two images of the same layers are the same.

use super::options::Form;
use super::trouble::not_made;
use crate::image::programs;
use crate::seed::manifest::Loaded;
use crate::store::Store;
use crate::{fault, mount};
use dind_contract::Fault;
use dind_system::Helper;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A terabyte takes hours.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The program that makes a file system of this form; none for a directory.
///
/// # Errors
/// It is not installed.
pub(super) fn program(form: Form) -> Result<Option<Helper>, Fault> {
    match form {
        Form::Dir => Ok(None),
        Form::Erofs => programs::find("mkfs.erofs", "erofs-utils").map(Some),
        Form::Squashfs => programs::find("mksquashfs", "squashfs-tools").map(Some),
    }
}

/// Gives this process a mount namespace of its own. Whatever is opened before lies in the other one.
///
/// # Errors
/// The kernel refuses.
pub(super) fn isolate() -> Result<(), Fault> {
    let made = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
    });
    made.map_err(|error| mount::failed("unshare", Path::new("/"), error.desc()))
}

/// The tree. It is unmounted when this is dropped.
#[derive(Debug)]
pub(super) struct Tree {
    point: PathBuf,
}

impl Tree {
    /// Makes an empty tree on a directory.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn mount(point: PathBuf) -> Result<Self, Fault> {
        let failed = |cause: &dyn std::fmt::Display| mount::failed("mount on", &point, cause);
        make_directory(&point).map_err(|error| failed(&error))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        nix::mount::mount(Some("tmpfs"), &point, Some("tmpfs"), flags, Some("mode=0700"))
            .map_err(|error| failed(&error.desc()))?;
        Ok(Self { point })
    }

    /// Binds a layer's files below it, read-only.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn bind(&self, from: &Store, cache_id: &str) -> Result<(), Fault> {
        let (diff, point) = (from.diff(cache_id), Store::at(&self.point).diff(cache_id));
        let failed = |cause: &dyn std::fmt::Display| mount::failed("bind", &diff, cause);
        make_directory(&point).map_err(|error| failed(&error))?;
        let change = |from: Option<&Path>, flags| {
            let done = nix::mount::mount(from, &point, None::<&str>, flags, None::<&str>);
            done.map_err(|error| failed(&error.desc()))
        };
        change(Some(&diff), MsFlags::MS_BIND)?;
        change(None, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY)
    }

    /// Where it is.
    pub(super) fn point(&self) -> &Path {
        &self.point
    }
}

impl Drop for Tree {
    /// Whoever removes the directory next must not find the layers in it. They are read-only there in any case.
    fn drop(&mut self) {
        let _ = umount2(&self.point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    }
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the file.
///
/// # Errors
/// The program fails. What it has left is the caller's to remove.
pub(super) fn make(
    (program, form): (Helper, Form),
    (tree, file): (&Path, &Path),
    seed: &Loaded,
    latest: i64,
    to: &Path,
) -> Result<(), Fault> {
    let name = program.program().display().to_string();
    let program = match form {
        // What is later than that would be set to it, so nothing is. It is also the time of the file system itself, which
        // would otherwise be now.
        Form::Erofs => program
            .set("SOURCE_DATE_EPOCH", latest.saturating_add(1).max(1).to_string())
            .args(["-d0", "-U", &uuid(seed)])
            .arg(file)
            .arg(tree),
        Form::Squashfs | Form::Dir => program.arg(tree).arg(file).args([
            "-noappend",
            "-no-progress",
            "-quiet",
            "-xattrs",
            "-reproducible",
            "-exit-on-error",
            "-mkfs-time",
            "0",
        ]),
    };
    let finished = program.run(LIMIT).map_err(|error| not_made(to, format_args!("{name}: {error}")))?;
    if !finished.status.success() {
        let last = finished.stderr.lines().last().unwrap_or_default();
        let cause = format!("{name} ended with {}: {last}", finished.status);
        if finished.stderr.contains("No space left on device") {
            let fault = fault::SPACE_SHORT.cannot("make", to.display(), cause);
            return Err(fault.hint("make room there, or name a seed on another volume"));
        }
        return Err(not_made(to, cause));
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(file, private).map_err(|error| not_made(to, error))
}

/// A UUID that is the same for the same seed: of random form (RFC 9562, version 8), made of the manifest's digest.
fn uuid(seed: &Loaded) -> String {
    let hex = seed.digest.hex();
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}
