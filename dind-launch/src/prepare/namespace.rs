//! The host's cgroup namespace (cgroup_namespaces(7)): Docker's default on cgroup v1, `--cgroupns=host` on v2.
//!
//! `/proc/self/cgroup` then shows paths of the host, which are not to be found in the container; and where the host's
//! own tree is mounted, inner containers end beside the node and outside of its limits (moby#45378). So we take a
//! namespace of our own, at the cgroup we are in. Our children inherit it. A shell script that called us does not: for
//! it, each hierarchy is mounted once more at the place where paths of the host look for it, as kind does.

use super::{Caller, Work, failed, make_folder};
use crate::mounts;
use dind_contract::{Fault, Root, State, Warning};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::path::{Path, PathBuf};

/// The inode of the first PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A hierarchy's controllers and our path in it: a line of `/proc/self/cgroup` (cgroups(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Such as `cpu,cpuacct` or `name=systemd`; empty for cgroup v2.
    pub(super) controllers: String,
    /// Our cgroup.
    pub(super) path: String,
}

/// Reads `/proc/self/cgroup`.
pub(super) fn places(root: &Root) -> Result<Vec<Place>, Fault> {
    const FILE: &str = "/proc/self/cgroup";
    Ok(parse(&root.read(FILE).map_err(|error| failed("read", FILE, &error))?))
}

pub(super) fn parse(text: &str) -> Vec<Place> {
    let line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1).map(str::to_owned);
        Some(Place { controllers: fields.next()?, path: fields.next()? })
    };
    text.lines().filter_map(line).collect()
}

/// Takes a cgroup namespace of our own, and reads the mounts again, whose roots it changes. Returns whether we have one.
pub(super) fn enter(root: &Root, work: &mut Work) -> Result<bool, Fault> {
    // Whoever is in the machine's first PID namespace sees the machine's own mounts, too: nothing of ours to repair.
    let first = fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name == Path::new(FIRST_PID_NAMESPACE));
    let refused = if first { Some("this is no container".to_owned()) } else { take().err() };
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
        work.steps.push("unshare-cgroups", "/proc/self/ns/cgroup", State::Done);
    }
    work.mounts = mounts::read(root)?;
    Ok(true)
}

fn take() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|errno| errno.desc().to_owned())
}

/// Whether a mount shows what lies outside of our cgroup namespace: its root is above ours.
pub(super) fn is_above(mount_root: &str) -> bool {
    mount_root.starts_with("/..")
}

/// Mounts a hierarchy once more below itself, where a caller that is still in the host's namespace looks for its cgroup.
pub(super) fn alias(point: &str, host_path: &str, work: &mut Work) -> Result<(), Fault> {
    if work.caller == Caller::Launcher || host_path == "/" {
        return Ok(());
    }
    let target = PathBuf::from(format!("{point}{host_path}"));
    let text = target.display().to_string();
    if mounts::at(&work.mounts, &text).is_some() {
        work.steps.push("alias-cgroup", text, State::Skipped);
        return Ok(());
    }
    make_folder(&target)?;
    mount(Some(point), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(|error| failed("bind", &text, &error.into()))?;
    work.steps.push("alias-cgroup", text, State::Done);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_versions() {
        let place = |controllers: &str, path: &str| Place {
            controllers: controllers.to_owned(),
            path: path.to_owned(),
        };
        let text = "12:cpu,cpuacct:/docker/abc\n3:name=systemd:/a:b\n0::/init.scope\nbroken\n";
        let expected =
            [place("cpu,cpuacct", "/docker/abc"), place("name=systemd", "/a:b"), place("", "/init.scope")];
        assert_eq!(parse(text), expected);
    }
}
