//! `prepare`: what a container lacks before an engine can run in it. Cgroups that can be written and nested, a shared
//! mount tree, securityfs, a /tmp that is no overlay. For `run`, and alone for entrypoints that are shell scripts.

mod cgroup1;
mod cgroup2;
mod namespace;
mod threaded;
mod tree;

use crate::fault;
use crate::paths::RUN_DIR;
use dind_contract::{Draft, Failed, Fault, Outcome, StepState, Steps, Warning};
use dind_system::Root;
use dind_system::proc::{self, Mount, mount_at};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// What was found and prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prepared {
    /// `v1` (with or without a unified hierarchy beside it) or `v2`.
    pub cgroup_version: String,
    /// Whose cgroup namespace the engine will see: `private`, by the container's runtime; `own`, taken by us; `host`.
    pub cgroup_namespace: String,
    /// The hierarchies that can be used, by their folder's name; on v2 the delegated controllers.
    pub controllers: Vec<String>,
}

/// Who starts the engine afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// This process, whose namespaces its children inherit.
    Launcher,
    /// Another one, such as a shell script.
    Shell,
}

/// What the preparing of one part needs: for whom, the mounts as they are, and where to note what is done.
struct Work {
    caller: Caller,
    mounts: Vec<Mount>,
    steps: Steps,
    warnings: Vec<Warning>,
}

/// Prepares cgroups and mounts. What is as it should be is left alone, so a second time changes nothing.
///
/// # Errors
/// The caller lacks `CAP_SYS_ADMIN`, or a cgroup hierarchy cannot be made usable. The rest only warns: engines run
/// without it.
pub fn prepare(root: &Root, caller: Caller) -> Outcome<Prepared> {
    if !root.is_host() {
        let fault = fault::ROOT_IS_FAKE.cannot("prepare", root.path("/").display(), "it is not this machine");
        return Err(fault.hint("leave --root out; `dind-launch plan` takes it").into());
    }
    privileged(root)?;
    let (steps, warnings) = (Steps::default(), Vec::new());
    let mut work = Work { caller, mounts: mounts(root)?, steps, warnings };
    match all(root, &mut work) {
        Ok(result) => Ok(Draft { result, steps: work.steps, warnings: work.warnings, ..Draft::default() }),
        Err(fault) => Err(Failed { fault: Box::new(fault), steps: work.steps }),
    }
}

/// `CAP_SYS_ADMIN`, by its number in linux/capability.h.
const SYS_ADMIN: u32 = 21;

/// Refuses early what would fail late, and half-done.
///
/// # Errors
/// Not root, or no `CAP_SYS_ADMIN`.
fn privileged(root: &Root) -> Result<(), Fault> {
    if !nix::unistd::geteuid().is_root() {
        let fault = fault::NOT_ROOT.cannot("prepare", "the container", "the caller is not root");
        return Err(fault.hint("run the container with --user 0"));
    }
    let status = proc::status(root)
        .map_err(|error| fault::INIT_FAILED.cannot("read", "/proc/self/status", error).hint("mount /proc"))?;
    if !status.can(SYS_ADMIN) {
        let fault =
            fault::CAP_SYS_ADMIN_MISSING.cannot("prepare", "the container", "CAP_SYS_ADMIN is missing");
        return Err(
            fault.hint("run the container with --privileged; `dind-launch doctor` names all that is missing")
        );
    }
    Ok(())
}

/// The mounts that this process sees.
fn mounts(root: &Root) -> Result<Vec<Mount>, Fault> {
    proc::mounts(root).map_err(|error| {
        fault::PREPARE_FAILED.cannot("read", "/proc/self/mountinfo", error).hint("mount /proc")
    })
}

fn all(root: &Root, work: &mut Work) -> Result<Prepared, Fault> {
    let unified = mount_at(&work.mounts, CGROUPS).is_some_and(|mount| mount.kind == "cgroup2");
    let prepared = if unified { cgroup2::prepare(root, work)? } else { cgroup1::prepare(root, work)? };
    tree::security(work);
    tree::network_settings(work);
    tree::temporary(work);
    tree::share(work);
    Ok(prepared)
}

/// Where all container runtimes mount cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What every pseudo filesystem is mounted with.
const PLAIN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

impl Work {
    /// Mounts a pseudo filesystem and notes the step.
    fn mount(&mut self, kind: &str, point: &str, flags: MsFlags, data: &str) -> Result<(), Fault> {
        mount(Some(kind), point, Some(kind), flags, Some(data)).map_err(|error| {
            failed("mount", point, &error.into()).cause(format!("mount -t {kind} -o '{data}' {kind} {point}"))
        })?;
        self.steps.push(&format!("mount-{kind}"), point, StepState::Done);
        Ok(())
    }

    /// Mounts a pseudo filesystem over one that may be the same: the kernel refuses that (EBUSY), but for a bind mount.
    fn mount_over(&mut self, kind: &str, point: &str, flags: MsFlags, data: &str) -> Result<(), Fault> {
        if mount_at(&self.mounts, point).is_none() {
            return self.mount(kind, point, flags, data);
        }
        let aside = Path::new(RUN_DIR).join("mount");
        make_folder(&aside)?;
        let over = mount(Some(kind), &aside, Some(kind), flags, Some(data)).and_then(|()| {
            let bound = mount(Some(&aside), point, None::<&str>, MsFlags::MS_BIND, None::<&str>);
            umount2(&aside, MntFlags::MNT_DETACH).and(bound)
        });
        let _ = fs::remove_dir(&aside);
        over.map_err(|error| failed("mount over", point, &error.into()))?;
        self.steps.push(&format!("mount-{kind}"), point, StepState::Done);
        Ok(())
    }

    /// Makes a read-only mount writable by a bind remount: a plain one is EBUSY where other containers hold the
    /// same hierarchy.
    fn remount_writable(&mut self, point: &str) -> Result<(), Fault> {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | PLAIN;
        mount(None::<&str>, point, None::<&str>, flags, None::<&str>)
            .map_err(|error| failed("make writable", point, &error.into()))?;
        self.steps.push("remount-writable", point, StepState::Done);
        Ok(())
    }

    fn warn(&mut self, code: &str, fault: &Fault, hint: &str) {
        self.warnings.push(Warning::new(code, fault.to_string(), hint));
    }
}

fn make_folder(path: &Path) -> Result<(), Fault> {
    fs::create_dir_all(path).map_err(|error| failed("create", &path.display().to_string(), &error))
}

fn failed(verb: &str, object: &str, error: &std::io::Error) -> Fault {
    fault::PREPARE_FAILED
        .cannot(verb, object, error)
        .hint("run the container with --privileged; `dind-launch doctor` names what is missing")
}
