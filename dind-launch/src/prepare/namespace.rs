//! The host's cgroup namespace (cgroup_namespaces(7)): Docker's default on cgroup v1, `--cgroupns=host` on v2.
//!
//! `/proc/self/cgroup` then shows paths of the host, which are not to be found in the container; and where the host's
//! own tree is mounted, inner containers end beside the node and outside of its limits (moby#45378). So we take a
//! namespace of our own, at the cgroup we are in. Our children inherit it. A shell script that called us does not: for
//! it, each hierarchy is mounted once more at the place where paths of the host look for it, as kind does.

use super::{Caller, Work, failed, make_folder, mounts};
use dind_contract::{Fault, StepState, Warning};
use dind_system::Root;
use dind_system::proc::{self, Cgroup, mount_at};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::path::{Path, PathBuf};

/// Our cgroups.
pub(super) fn cgroups(root: &Root) -> Result<Vec<Cgroup>, Fault> {
    proc::cgroups(root).map_err(|error| failed("read", "/proc/self/cgroup", &error))
}

/// Takes a cgroup namespace of our own, and reads the mounts again, whose roots it changes. Returns whether we have one.
pub(super) fn enter(root: &Root, work: &mut Work) -> Result<bool, Fault> {
    // Whoever is in the machine's first PID namespace sees the machine's own mounts, too: nothing of ours to repair.
    let refused =
        if proc::on_the_machine(root) { Some("this is no container".to_owned()) } else { take().err() };
    if let Some(cause) = refused {
        work.warnings.push(Warning::new(
            "cgroup-namespace-host",
            format!("cannot leave `the host's cgroup namespace`: {cause}"),
            "run the container with --cgroupns=private; else limits of the node may not hold for inner containers",
        ));
        return Ok(false);
    }
    // A namespace that is gone with this process is a means and no change.
    if work.caller == Caller::Launcher {
        work.steps.push("unshare-cgroups", "/proc/self/ns/cgroup", StepState::Done);
    }
    work.mounts = mounts(root)?;
    Ok(true)
}

fn take() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|errno| errno.desc().to_owned())
}

/// Whether a mount shows what lies outside of our cgroup namespace: its root is above ours.
pub(super) fn is_above(mount_root: &Path) -> bool {
    mount_root.starts_with("/..")
}

/// Mounts a hierarchy once more below itself, where a caller that is still in the host's namespace looks for its cgroup.
pub(super) fn alias(point: &str, host_path: &str, work: &mut Work) -> Result<(), Fault> {
    if work.caller == Caller::Launcher || host_path == "/" {
        return Ok(());
    }
    let target = PathBuf::from(format!("{point}{host_path}"));
    let text = target.display().to_string();
    if mount_at(&work.mounts, &text).is_some() {
        work.steps.push("alias-cgroup", text, StepState::Skipped);
        return Ok(());
    }
    make_folder(&target)?;
    mount(Some(point), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(|error| failed("bind", &text, &error.into()))?;
    work.steps.push("alias-cgroup", text, StepState::Done);
    Ok(())
}
