//! Carries a plan out. Each change has its undo, and a failure takes back all of them.

use crate::device::{self, Attached};
use crate::document::Storage;
use crate::facts::Mounted;
use crate::make;
use crate::options::Options;
use crate::plan::{LoopWork, Plan};
use crate::{facts, fault, grow, health, image, paths, plan, release};
use dind_contract::{Draft, Failed, Fault, Outcome, Root, State, Steps, Warning};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::fstat;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Decides, and does it.
///
/// # Errors
/// A privilege is missing, nothing works here, or a step failed; then all steps before it are undone.
pub fn apply(root: &Root, options: &Options) -> Outcome<Storage> {
    privileged(root, "apply")?;
    // Past a limit on file sizes, a write gets EFBIG instead of killing us or mkfs: a blocked signal is inherited.
    let mut block = SigSet::empty();
    block.add(Signal::SIGXFSZ);
    let _ = block.thread_block();
    let facts = facts::observe(root, options)?;
    let mut plan = plan::decide(&facts, options)?;
    let mut journal = Journal::default();
    if let Some(work) = plan.work.take() {
        let done = match &facts.mounted {
            Some(mounted) => mounted_already(&work, mounted, &mut plan, &mut journal),
            None => carry_out(root, &work, &mut plan, &mut journal),
        };
        if let Err(fault) = done {
            return Err(Failed { fault: Box::new(fault), steps: journal.undo() });
        }
    }
    let steps = journal.steps;
    Ok(Draft { engine: plan.engine(), result: plan.storage, steps, warnings: plan.warnings })
}

/// Root and `CAP_SYS_ADMIN`, on the machine itself.
///
/// # Errors
/// Names what is missing and the flag that gives it.
pub fn privileged(root: &Root, verb: &str) -> Result<(), Fault> {
    if !root.is_host() {
        let fault = fault::ROOT_IS_FAKE.cannot(verb, "--root", "a captured machine cannot be changed");
        return Err(fault.hint("use `dind-storage plan` with --root"));
    }
    let object = "the data root";
    if !nix::unistd::geteuid().is_root() {
        let fault = fault::NOT_ROOT.cannot(verb, object, "the caller is not root");
        return Err(fault.hint("run the container with --user 0"));
    }
    if !facts::has_sys_admin(root)? {
        let fault = fault::CAP_SYS_ADMIN_MISSING.cannot(verb, object, "CAP_SYS_ADMIN is missing");
        return Err(fault.hint("run the container with --privileged, or with --cap-add SYS_ADMIN"));
    }
    Ok(())
}

/// How a change is taken back.
enum Undo {
    /// The folder was made.
    Folder(PathBuf),
    /// The image was made.
    Image(PathBuf),
    /// The node of a loop device was made.
    Node(PathBuf),
    /// The image was attached.
    Attached(Attached),
    /// A mount was made private. It is shared again, in a peer group of its own.
    Private(PathBuf),
    /// The image was mounted.
    Mounted(PathBuf),
    /// Nothing has to be done: what was changed is better as it is now.
    Keep,
}

/// What was done so far.
#[derive(Default)]
struct Journal {
    steps: Steps,
    undo: Vec<Undo>,
}

impl Journal {
    fn done(&mut self, op: &str, target: &Path, undo: Undo) {
        self.steps.push(op, target.display(), State::Done);
        self.undo.push(undo);
    }

    fn skipped(&mut self, op: &str, target: &Path) {
        self.steps.push(op, target.display(), State::Skipped);
    }

    /// From the last to the first. What cannot be undone stays `done` in the steps.
    fn undo(mut self) -> Steps {
        let mut changes: Vec<_> = self.steps.0.iter_mut().filter(|step| step.state == State::Done).collect();
        while let (Some(undo), Some(step)) = (self.undo.pop(), changes.pop()) {
            let undone = match undo {
                Undo::Folder(path) => fs::remove_dir(path).is_ok(),
                Undo::Image(path) | Undo::Node(path) => fs::remove_file(path).is_ok(),
                Undo::Attached(attached) => attached.detach().is_ok(),
                Undo::Private(point) => set_propagation(&point, MsFlags::MS_SHARED).is_ok(),
                Undo::Mounted(point) => release::unmount(&point).is_ok(),
                Undo::Keep => false,
            };
            if undone {
                step.state = State::Undone;
            }
        }
        self.steps
    }
}

/// There is nothing to do, unless the image shall be larger.
fn mounted_already(
    work: &LoopWork,
    mounted: &Mounted,
    plan: &mut Plan,
    journal: &mut Journal,
) -> Result<(), Fault> {
    match work.grow {
        Some(size) if grow::mounted(work, mounted, size)? => {
            journal.done("grow-image", &work.image, Undo::Keep);
        }
        Some(_) => {
            plan.warnings.push(plan::grow_deferred(&work.image));
            journal.skipped("grow-image", &work.image);
        }
        None => {}
    }
    journal.skipped("mount-image", &work.target);
    Ok(())
}

fn carry_out(root: &Root, work: &LoopWork, plan: &mut Plan, journal: &mut Journal) -> Result<(), Fault> {
    let (folder, _) = paths::split(&work.image)?;
    let folder = paths::make_folder(folder, |made| {
        journal.done("make-folder", made, Undo::Folder(made.to_owned()));
    })?;
    let file = file(&folder, work, journal)?;
    let found = image::examine(&file, &work.image)?;

    let attached = device::attach(&file)?;
    let (device, rdev) = (attached.node.path.clone(), attached.node.rdev);
    if let Some(report) = &mut plan.storage.image {
        report.device = Some(device.clone());
        report.direct_io = Some(attached.direct_io);
    }
    if !attached.direct_io {
        plan.warnings.push(Warning::new(
            fault::BUFFERED_IO,
            "direct I/O does not work for the image: its pages are cached twice",
            "put the image on ext4, xfs or btrfs",
        ));
    }
    if attached.node.made {
        journal.done("make-loop-node", &device, Undo::Node(device.clone()));
    }
    journal.done("attach-image", &work.image, Undo::Attached(attached));

    let target = paths::make_folder(&work.target, |made| {
        journal.done("make-folder", made, Undo::Folder(made.to_owned()));
    })?;
    still_empty(&target, &work.target)?;
    if let Some(point) = &work.isolate {
        set_propagation(point, MsFlags::MS_PRIVATE)
            .map_err(|error| mount_failed("make private", point, error.desc()))?;
        journal.done("stop-propagation", point, Undo::Private(point.clone()));
    }
    mount_on(&target, &work.target, &device, found.superblock.filesystem)?;
    drop(target);
    journal.done("mount-image", &work.target, Undo::Mounted(work.target.clone()));
    finish_mount(&work.target, rdev)?;
    if found.superblock.filesystem == "xfs" && work.grow.is_some() {
        grow::xfs(&work.target)?;
    }
    // The journal may tell of errors that the superblock did not.
    plan.storage.health = health::at(root, &work.target)?;
    plan.warnings.extend(plan.storage.health.and_then(|health| health.warning(&work.target)));
    Ok(())
}

/// The image, locked, whole, and as large as it shall be.
fn file(folder: &OwnedFd, work: &LoopWork, journal: &mut Journal) -> Result<File, Fault> {
    make::forget_second_name(folder, &work.image)?;
    if let Some(file) = image::open(folder, &work.image, OFlag::O_RDWR)? {
        image::lock(&file, &work.image)?;
        // The lock may have come free because the file was replaced, or the facts may be old: look again.
        let found = image::examine(&file, &work.image)?;
        journal.skipped("make-image", &work.image);
        if found.needs_check() {
            image::check(&file, &work.image, false)?;
            journal.done("check-image", &work.image, Undo::Keep);
        }
        if !found.is_sparse() && found.allocated < found.size {
            // Holes of before. An image that cannot have all of its space back is still one that can be used.
            let _ = make::reserve(folder, &file, &work.image, found.size, false);
        }
        if let Some(size) = work.grow {
            grow::file(folder, &file, &work.image, &found, size)?;
            journal.done("grow-image", &work.image, Undo::Keep);
        }
        return Ok(file);
    }
    let Some(spec) = &work.make else {
        // It was there when we looked.
        return Err(image::in_use(&work.image));
    };
    let file = make::make(folder, &work.image, spec)?;
    journal.done("make-image", &work.image, Undo::Image(work.image.clone()));
    Ok(file)
}

/// The plan knows it too, but from before; this is the very folder that is mounted on.
fn still_empty(target: &OwnedFd, path: &Path) -> Result<(), Fault> {
    let names = paths::readable(target)
        .map_err(std::io::Error::from)
        .and_then(|folder| fs::read_dir(paths::by_descriptor(folder.as_fd())))
        .map_err(|error| mount_failed("mount on", path, error))?;
    match names.flatten().find(|entry| entry.file_name() != "lost+found") {
        None => Ok(()),
        Some(entry) => {
            let cause = format!("it has come to hold `{}`", entry.file_name().to_string_lossy());
            let fault = fault::DATA_ROOT_NOT_EMPTY.cannot("mount on", path.display(), cause);
            Err(fault.hint("empty it, or set DIND_DATA_ROOT to another folder"))
        }
    }
}

fn mount_on(target: &OwnedFd, path: &Path, device: &Path, filesystem: &str) -> Result<(), Fault> {
    // No nodev, nosuid or noexec: containers have device files, set-user-id programs, and programs.
    // The kernel zeroes inode tables in the background by punching holes, into the reservation too. They are zeroes
    // already, in a file that was new, and ext4 knows which of them it has not used yet.
    let options = (filesystem == "ext4").then_some("errors=remount-ro,noinit_itable");
    let point = paths::by_descriptor(target.as_fd());
    mount(Some(device), &point, Some(filesystem), MsFlags::empty(), options)
        .map_err(|error| mount_failed("mount the image on", path, error.desc()))
}

/// What is mounted must be our device, only here, and closed to those who are not root.
fn finish_mount(path: &Path, rdev: u64) -> Result<(), Fault> {
    let failed = |cause: &str| mount_failed("mount the image on", path, cause);
    let top = paths::open_folder(path).map_err(|error| failed(error.desc()))?;
    let found = fstat(&top).map_err(|error| failed(error.desc()))?;
    if found.st_dev != rdev {
        return Err(failed("another device came to be mounted there"));
    }
    drop(top);
    set_propagation(path, MsFlags::MS_PRIVATE).map_err(|error| failed(error.desc()))?;
    // As dockerd makes its data root.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    fs::set_permissions(path, mode).map_err(|error| failed(&error.to_string()))
}

fn set_propagation(point: &Path, kind: MsFlags) -> nix::Result<()> {
    mount(None::<&str>, point, None::<&str>, kind, None::<&str>)
}

fn mount_failed(verb: &str, path: &Path, cause: impl std::fmt::Display) -> Fault {
    let fault = fault::MOUNT_FAILED.cannot(verb, path.display(), cause);
    fault.hint(
        "look at the kernel's log; under AppArmor, run the container with --security-opt apparmor=unconfined",
    )
}
