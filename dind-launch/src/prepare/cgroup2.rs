//! Cgroup v2 nesting. A cgroup that hands controllers to its children may hold no process itself (the kernel's
//! cgroup-v2.rst, "No Internal Process Constraint"), and the container's cgroup holds us. So all processes move to a
//! leaf, and the controllers are delegated. Processes that are being started meanwhile (`docker exec`, a health check)
//! undo the one before the other is done, so both are tried together, and not for ever.
//!
//! Unfixed, an engine starts and plain containers run, but the first one with a memory limit fails: "cannot enter
//! cgroupv2 … with domain controllers -- it is in threaded mode".

use super::{CGROUPS, PLAIN, Prepared, Work, failed, make_folder, mounts, namespace, threaded};
use crate::fault;
use dind_contract::{Fault, StepState};
use dind_system::Root;
use dind_system::proc::mount_at;
use nix::errno::Errno;
use nix::mount::MsFlags;
use std::fs;
use std::io;
use std::path::Path;

/// Where the processes go: the name that systemd, moby's hack/dind and kind have made usual.
const LEAF: &str = "init";

/// A round costs under a millisecond; a start storm that outlives a hundred is no start.
const ROUNDS: usize = 100;

pub(super) fn prepare(root: &Root, work: &mut Work) -> Result<Prepared, Fault> {
    let cgroups = namespace::cgroups(root)?;
    let unified = cgroups.iter().find(|cgroup| cgroup.controllers.is_empty());
    let own = unified.map_or("/", |cgroup| cgroup.path.as_str());
    let mounted = mount_at(&work.mounts, CGROUPS).map_or(Path::new("/"), |mount| &mount.root);
    let base = Path::new(CGROUPS);
    let mut prepared = Prepared { cgroup_version: "v2".to_owned(), ..Prepared::default() };
    prepared.cgroup_namespace = if !is_ours(base, mounted, Path::new(own)) {
        if !namespace::enter(root, work)? {
            return Ok(Prepared { cgroup_namespace: "host".to_owned(), ..prepared });
        }
        // Over the host's tree, which stays the host's: to evacuate that one would move the host's own processes.
        work.mount_over("cgroup2", CGROUPS, PLAIN | MsFlags::MS_RELATIME, "")?;
        "own"
    } else if mounted == Path::new("/") {
        "private"
    } else {
        "own"
    }
    .to_owned();
    if mount_at(&mounts(root)?, CGROUPS).is_some_and(|mount| mount.read_only) {
        work.remount_writable(CGROUPS)?;
    }
    let repaired = threaded::undo(base)?;
    let (moved, controllers) = nest(base)?;
    let state = if repaired || moved { StepState::Done } else { StepState::Skipped };
    work.steps.push("nest-cgroups", base.join(LEAF).display(), state);
    namespace::alias(CGROUPS, own.strip_suffix(&format!("/{LEAF}")).unwrap_or(own), work)?;
    Ok(Prepared { controllers, ..prepared })
}

/// Whether the mounted tree begins at our own cgroup, or at the one above the leaf where an earlier run has put us. The
/// kernel's true root cgroup has no `cgroup.type`.
fn is_ours(base: &Path, mounted: &Path, own: &Path) -> bool {
    base.join("cgroup.type").exists() && (own == mounted || own == mounted.join(LEAF))
}

/// Moves all processes of `base` to its leaf and delegates every controller. Returns whether anything was changed,
/// and the controllers.
fn nest(base: &Path) -> Result<(bool, Vec<String>), Fault> {
    let available = words(&base.join("cgroup.controllers"))?;
    let leaf = base.join(LEAF);
    let mut changed = false;
    let mut last = io::Error::other("processes keep coming");
    for _ in 0..ROUNDS {
        let pids = words(&base.join("cgroup.procs"))?;
        let delegated = words(&base.join("cgroup.subtree_control"))?;
        let missing: Vec<String> = available
            .iter()
            .filter(|have| !delegated.contains(have))
            .map(|name| format!("+{name}"))
            .collect();
        if pids.is_empty() && missing.is_empty() {
            return Ok((changed, available));
        }
        changed = true;
        make_folder(&leaf)?;
        for pid in &pids {
            match fs::write(leaf.join("cgroup.procs"), pid) {
                Ok(()) => {}
                // It has ended meanwhile.
                Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
                Err(error) => last = error,
            }
        }
        // All at once: one by one, the threaded controllers go first and make the cgroup a threaded domain, which
        // then refuses memory and io.
        if let Err(error) = fs::write(base.join("cgroup.subtree_control"), missing.join(" ")) {
            last = error;
        }
    }
    let fault = fault::CGROUP_BUSY.cannot("delegate the controllers of", base.display(), last);
    Err(fault
        .hint("start the node in a container of its own, and run `dind-launch prepare` before any engine"))
}

fn words(file: &Path) -> Result<Vec<String>, Fault> {
    let text =
        fs::read_to_string(file).map_err(|error| failed("read", &file.display().to_string(), &error))?;
    // Pid 0 is a process of another namespace: not ours to move.
    Ok(text.split_whitespace().filter(|word| *word != "0").map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_tree_is_told_from_the_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        assert!(!is_ours(base, Path::new("/"), Path::new("/")), "the true root has no cgroup.type");
        fs::write(base.join("cgroup.type"), "domain").unwrap();
        for (mounted, own, ours) in [
            ("/", "/", true),
            ("/", "/init", true),
            ("/", "/docker/abc", false),
            ("/docker/abc", "/docker/abc", true),
            ("/docker/abc", "/docker/abc/init", true),
            ("/../..", "/", false),
        ] {
            assert_eq!(is_ours(base, Path::new(mounted), Path::new(own)), ours, "{mounted} {own}");
        }
    }

    /// A folder of plain files stands in for cgroupfs: it keeps what is written, so the loop must give up.
    #[test]
    fn a_cgroup_that_never_empties_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.controllers"), "cpu memory").unwrap();
        fs::write(folder.path().join("cgroup.procs"), "7\n").unwrap();
        fs::write(folder.path().join("cgroup.subtree_control"), "").unwrap();
        let fault = nest(folder.path()).unwrap_err();
        assert_eq!(fault.code, fault::CGROUP_BUSY);
        assert_eq!(fs::read_to_string(folder.path().join("init/cgroup.procs")).unwrap(), "7");
        assert_eq!(fs::read_to_string(folder.path().join("cgroup.subtree_control")).unwrap(), "+cpu +memory");
    }

    #[test]
    fn a_nested_cgroup_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.controllers"), "cpu memory").unwrap();
        fs::write(folder.path().join("cgroup.procs"), "").unwrap();
        fs::write(folder.path().join("cgroup.subtree_control"), "cpu memory").unwrap();
        assert_eq!(nest(folder.path()).unwrap(), (false, vec!["cpu".to_owned(), "memory".to_owned()]));
        assert!(!folder.path().join("init").exists());
    }
}
