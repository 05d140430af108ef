//! The steps of `prepare`: their names, how each is made, and how it is taken back.

use super::error::failed;
use super::facts::{CGROUPS, Caller, LEAF};
use super::{mount, nest};
use crate::fault::PREPARE_FAILED;
use dind_contract::Fault;
use dind_contract::step::{Applied, Apply, Step, Undo};
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrepareStep {
    pub change: Change,
    /// Whether there is nothing to do.
    pub holds: bool,
    /// The warning that its failure is, if an engine runs without it. If any other step fails, so does `prepare`.
    pub optional: Option<Optional>,
}

/// The warning that the failure of an optional step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Optional {
    /// The warning's code.
    pub code: &'static str,
    /// Its hint.
    pub hint: &'static str,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A cgroup namespace of our own, which begins at our cgroup.
    UnshareCgroups,
    /// A pseudo file system at a place; `over` another mount, which may be of the same one.
    Mount { filesystem: Filesystem, point: PathBuf, flags: MsFlags, options: String, over: bool },
    /// A read-only mount that can be written.
    RemountWritable(PathBuf),
    /// A directory of a read-only mount that can be written, while the rest cannot.
    BindWritable(PathBuf),
    /// Another name of a v1 hierarchy, for the directory `to` beside it.
    LinkCgroup { link: PathBuf, to: String },
    /// A v2 cgroup whose processes are in a leaf, and whose controllers are delegated.
    NestCgroups,
    /// A hierarchy once more, where a process of the host's cgroup namespace looks for its cgroup.
    AliasCgroup { hierarchy: PathBuf, alias: PathBuf },
    /// A mount tree whose mounts and unmounts reach the mount namespaces that are made from it.
    ShareMounts,
    /// A directory that everybody may write to, as /tmp is.
    MakeTemporary(PathBuf),
    /// A mount that does not take part in that.
    KeepPrivate(PathBuf),
    /// The engine is ended for want of memory no sooner than its containers, which it starts with 0.
    LowerOomScore { caller: Caller, from: i32 },
}

/// The pseudo file systems that are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filesystem {
    Tmpfs,
    Cgroup,
    Cgroup2,
    Securityfs,
}

impl Filesystem {
    /// Its name for mount(2).
    fn kind(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Cgroup => "cgroup",
            Self::Cgroup2 => "cgroup2",
            Self::Securityfs => "securityfs",
        }
    }

    fn op(self) -> &'static str {
        match self {
            Self::Tmpfs => "mount-tmpfs",
            Self::Cgroup => "mount-cgroup",
            Self::Cgroup2 => "mount-cgroup2",
            Self::Securityfs => "mount-securityfs",
        }
    }
}

impl PrepareStep {
    /// A step that cannot be done without.
    pub(super) fn needed(change: Change) -> Self {
        Self { change, holds: false, optional: None }
    }

    /// A step that an engine runs without.
    pub(super) fn optional(change: Change, code: &'static str, hint: &'static str) -> Self {
        Self { change, holds: false, optional: Some(Optional { code, hint }) }
    }

    /// The same step; there is nothing to do where `holds`.
    pub(super) fn unless(self, holds: bool) -> Self {
        Self { holds, ..self }
    }
}

impl Step for PrepareStep {
    fn op(&self) -> &'static str {
        match &self.change {
            Change::UnshareCgroups => "unshare-cgroups",
            Change::Mount { filesystem, .. } => filesystem.op(),
            Change::RemountWritable(_) | Change::BindWritable(_) => "remount-writable",
            Change::LinkCgroup { .. } => "link-cgroup",
            Change::NestCgroups => "nest-cgroups",
            Change::AliasCgroup { .. } => "alias-cgroup",
            Change::ShareMounts => "share-mounts",
            Change::KeepPrivate(_) => "keep-private",
            Change::MakeTemporary(_) => "make-directory",
            Change::LowerOomScore { .. } => "lower-oom-score",
        }
    }

    fn target(&self) -> String {
        match &self.change {
            Change::UnshareCgroups => "/proc/self/ns/cgroup".to_owned(),
            Change::NestCgroups => format!("{CGROUPS}/{LEAF}"),
            Change::ShareMounts => "/".to_owned(),
            Change::LowerOomScore { from, .. } => format!("oom_score_adj {from} to 0"),
            Change::Mount { point: path, .. }
            | Change::RemountWritable(path)
            | Change::BindWritable(path)
            | Change::KeepPrivate(path)
            | Change::MakeTemporary(path)
            | Change::LinkCgroup { link: path, .. }
            | Change::AliasCgroup { alias: path, .. } => path.display().to_string(),
        }
    }

    fn holds(&self) -> bool {
        self.holds
    }
}

impl Apply for PrepareStep {
    type Context = ();

    fn apply(&self, (): &mut ()) -> Result<Applied<()>, Fault> {
        match &self.change {
            Change::UnshareCgroups => {
                unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|errno| {
                    PREPARE_FAILED.failed("the node stays in the host's cgroup namespace", errno.desc())
                })?;
                // The namespace ends with this process, and nothing else needs the old one.
                Ok(Applied::Done(Undo::Keep))
            }
            Change::Mount { filesystem, point, flags, options, over } => {
                // A mount that another one hides is still listed, and its directory is not to be seen.
                mount::create_point(point)?;
                if *over {
                    mount::filesystem_over(filesystem.kind(), point, *flags, options)?;
                } else {
                    mount::filesystem(filesystem.kind(), point, *flags, options)?;
                }
                Ok(unmounted_by_undo(point))
            }
            Change::RemountWritable(point) => {
                mount::remount_writable(point)?;
                let point = point.clone();
                Ok(Applied::undo(move |()| mount::remount_read_only(&point)))
            }
            Change::BindWritable(point) => {
                mount::bind(point, point, MsFlags::MS_REC)?;
                mount::remount_writable(point).inspect_err(|_| _ = mount::unmount(point))?;
                Ok(unmounted_by_undo(point))
            }
            Change::LinkCgroup { link, to } => {
                symlink(to, link).map_err(|error| failed("link", link, &error))?;
                let link = link.clone();
                Ok(Applied::undo(move |()| fs::remove_file(&link).is_ok()))
            }
            Change::NestCgroups => Ok(match nest::nest(Path::new(CGROUPS))? {
                false => Applied::Skipped,
                // Processes may have come and gone meanwhile, and they can stay where they are.
                true => Applied::Done(Undo::Keep),
            }),
            Change::AliasCgroup { hierarchy, alias } => {
                mount::create_point(alias)?;
                mount::bind(hierarchy, alias, MsFlags::empty())?;
                Ok(unmounted_by_undo(alias))
            }
            Change::ShareMounts => {
                mount::share(Path::new("/"))?;
                // Which of the mounts were shared before is not known any more, and it does no harm that all are.
                Ok(Applied::Done(Undo::Keep))
            }
            Change::MakeTemporary(path) => {
                mount::create_point(path)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o1777))
                    .map_err(|error| failed("open", path, &error))?;
                let path = path.clone();
                Ok(Applied::undo(move |()| fs::remove_dir(&path).is_ok()))
            }
            Change::KeepPrivate(point) => {
                mount::keep_private(point)?;
                Ok(Applied::Done(Undo::WithPrevious))
            }
            Change::LowerOomScore { caller, from } => {
                // Children inherit it.
                let process = match caller {
                    Caller::Launcher => Pid::this(),
                    Caller::Shell => Pid::parent(),
                };
                let file = PathBuf::from(format!("/proc/{process}/oom_score_adj"));
                fs::write(&file, "0").map_err(|error| failed("lower", &file, &error))?;
                let from = from.to_string();
                Ok(Applied::undo(move |()| fs::write(&file, &from).is_ok()))
            }
        }
    }
}

fn unmounted_by_undo(point: &Path) -> Applied<()> {
    let point = point.to_owned();
    Applied::undo(move |()| mount::unmount(&point))
}
