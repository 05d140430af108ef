//! Whether overlay works in a file system: the only way to know is to use it.
//!
//! Kernels exist that mount overlay on overlay and fail on the first write, NFS takes the mount and refuses the
//! extended attributes, and XFS without `ftype` breaks deletes. So overlay is mounted in a directory of the file system in
//! question, and files are written, renamed and deleted through it.
//!
//! The mount is made by a thread in a mount namespace of its own. Nobody else ever sees it, and it is gone with the
//! thread, even when that is killed; what a kill can leave is a small directory, which the next probe there removes.

use super::directory;
use crate::report::ProbeSource;
use crate::{fault, privileges};
use dind_contract::Fault;
use dind_system::Root;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag};
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether overlay works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Overlay can be mounted, written to, renamed in and deleted from.
    Holds,
    /// It cannot, for this reason.
    Fails(String),
    /// Nobody could try, for this reason.
    NotRun(String),
}

const PREFIX: &str = ".dind-probe-";

/// The verdict on a captured machine, `holds` or why overlay does not work: no file of a real machine holds it.
const CAPTURED: &str = "/.dind/overlay-probe";

/// Whether overlay works in the file system of the data root.
///
/// # Errors
/// A file of the machine cannot be read.
pub fn verdict(root: &Root, data_root: &Path) -> Result<(Verdict, ProbeSource), Fault> {
    if !root.is_host() {
        let text = root.read_opt(CAPTURED).map_err(|error| {
            let fault = fault::FACTS_UNREADABLE.cannot("read", CAPTURED, error);
            fault.hint("look at the captured machine's files")
        })?;
        return Ok(match text.as_deref().map(str::trim) {
            None => (Verdict::NotRun("the machine is a captured one".to_owned()), ProbeSource::NotRun),
            Some("holds") => (Verdict::Holds, ProbeSource::Captured),
            Some(reason) => (Verdict::Fails(reason.to_owned()), ProbeSource::Captured),
        });
    }
    if !nix::unistd::geteuid().is_root() || !privileges::can_mount(root)? {
        return Ok((Verdict::NotRun("it needs root and CAP_SYS_ADMIN".to_owned()), ProbeSource::NotRun));
    }
    let verdict = run(directory::existing(root, data_root));
    let source = if matches!(verdict, Verdict::NotRun(_)) { ProbeSource::NotRun } else { ProbeSource::Run };
    Ok((verdict, source))
}

/// Tries overlay in the file system of a directory that exists. Leaves nothing there.
fn run(directory: &Path) -> Verdict {
    remove_stale(directory);
    let scratch = match Scratch::make(directory) {
        Ok(scratch) => scratch,
        Err(error) => {
            return Verdict::NotRun(format!("no directory can be made in {}: {error}", directory.display()));
        }
    };
    let scratch_path = scratch.path.clone();
    // unshare(2) with CLONE_FS and CLONE_NEWNS works on the calling thread alone.
    let tried = std::thread::Builder::new()
        .spawn(move || in_own_namespace(&scratch_path))
        .map(std::thread::JoinHandle::join);
    match tried {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) => Verdict::NotRun("the thread of the probe panicked".to_owned()),
        Err(error) => Verdict::NotRun(format!("no thread can be started: {error}")),
    }
}

fn in_own_namespace(scratch: &Path) -> Verdict {
    let alone = || {
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
    };
    if let Err(error) = alone() {
        return Verdict::NotRun(format!("it cannot have a mount namespace of its own: {}", error.desc()));
    }
    try_overlay(scratch).err().unwrap_or(Verdict::Holds)
}

/// The thread's working directory is its own, so short relative paths suffice: the options of the mount need no escapes.
fn try_overlay(scratch: &Path) -> Result<(), Verdict> {
    let step = |what: &str, done: io::Result<()>| done.map_err(|error| against(what, &error));
    step("entering the directory", std::env::set_current_dir(scratch))?;
    for name in ["lower", "upper", "work", "merged"] {
        step("making a directory", fs::create_dir(name))?;
    }
    step("writing a file", fs::write("lower/old", "old").and_then(|()| fs::write("lower/gone", "gone")))?;
    if !names_have_types() {
        let reason = "its directories do not hold file types (xfs made with ftype=0)";
        return Err(Verdict::Fails(reason.to_owned()));
    }
    mount_overlay().map_err(|error| match error {
        Errno::ENODEV => Verdict::Fails("the kernel has no overlay".to_owned()),
        Errno::ENOSPC => against("mounting overlay", &error.into()),
        error => Verdict::Fails(format!("mounting overlay fails: {}", error.desc())),
    })?;
    let used = use_overlay();
    // The namespace would do it too, but only after the directory has to be empty.
    let unmounted = umount("merged")
        .map_err(|error| Verdict::Fails(format!("unmounting overlay fails: {}", error.desc())));
    used.and(unmounted)
}

/// A step that failed speaks against overlay, unless there is no space for it.
fn against(what: &str, error: &io::Error) -> Verdict {
    let reason = format!("{what} fails: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Verdict::NotRun(reason),
        _ => Verdict::Fails(reason),
    }
}

/// The unmount of an overlay writes out the whole file system below, which takes seconds on a busy disk. A volatile one
/// (kernel 5.10, Documentation/filesystems/overlayfs.rst) does not; older kernels refuse the option.
fn mount_overlay() -> nix::Result<()> {
    const LAYERS: &str = "lowerdir=lower,upperdir=upper,workdir=work";
    let with =
        |options: &str| mount(Some("overlay"), "merged", Some("overlay"), MsFlags::empty(), Some(options));
    with(&format!("{LAYERS},volatile")).or_else(|_| with(LAYERS))
}

fn use_overlay() -> Result<(), Verdict> {
    let step = |what: &str, done: io::Result<()>| {
        done.map_err(|error| against(&format!("overlay mounts, but {what}"), &error))
    };
    step("writing a new file", fs::write("merged/new", "new"))?;
    step("writing to a file of the lower layer", fs::write("merged/old", "changed"))?;
    step("renaming", fs::rename("merged/new", "merged/renamed"))?;
    step("deleting a file of the lower layer", fs::remove_file("merged/gone"))?;
    let seen =
        fs::read("merged/old").is_ok_and(|text| text == b"changed") && !Path::new("merged/gone").exists();
    if seen { Ok(()) } else { Err(Verdict::Fails("overlay mounts, but forgets what was written".to_owned())) }
}

/// Overlay keeps deletes as special files and finds them by the type in the directory's listing.
fn names_have_types() -> bool {
    Dir::open("lower", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).is_ok_and(
        |mut dir| {
            dir.iter()
                .flatten()
                .all(|entry| entry.file_name().to_bytes()[0] == b'.' || entry.file_type().is_some())
        },
    )
}

/// A directory that is removed at the end. A lock shows other probes that it is still in use.
struct Scratch {
    path: PathBuf,
    _locked: fs::File,
}

impl Scratch {
    fn make(directory: &Path) -> io::Result<Self> {
        // Process ids repeat between the containers that share a volume.
        for number in 0..100 {
            let path = directory.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Another probe may have taken it for a stale one in this very moment.
            match lock(&path) {
                Ok(locked) if locked.metadata()?.nlink() > 0 => return Ok(Self { path, _locked: locked }),
                _ => drop(fs::remove_dir(&path)),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next probe here.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed probes have left.
fn remove_stale(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && let Ok(_locked) = lock(&entry.path())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn lock(path: &Path) -> io::Result<fs::File> {
    let directory = fs::File::open(path)?;
    // nix's `Flock` would do, but one way of locking is enough: see `image::lock`.
    #[allow(deprecated)]
    nix::fcntl::flock(directory.as_raw_fd(), FlockArg::LockExclusiveNonblock)?;
    Ok(directory)
}
