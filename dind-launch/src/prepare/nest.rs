//! Cgroup v2 nesting. A cgroup that hands controllers to its children may hold no process itself (the kernel's
//! cgroup-v2.rst, "No Internal Process Constraint"), and the container's cgroup holds us. So all processes move to a
//! leaf, and the controllers are delegated. Processes that are being started meanwhile (`docker exec`, a health check)
//! undo the one before the other is done, so both are tried together, a limited number of times.
//!
//! Without this, an engine starts and plain containers run, but the first one with a memory limit fails: "cannot enter
//! cgroupv2 … with domain controllers -- it is in threaded mode".

use super::delegation;
use super::error::failed;
use super::facts::{LEAF, words};
use super::threaded;
use crate::fault;
use dind_contract::Fault;
use dind_system::{Root, proc};
use nix::errno::Errno;
use std::fs;
use std::io;
use std::path::Path;

/// A round costs under a millisecond; whatever still starts processes after a hundred is not just starting up.
const ROUNDS: usize = 100;

/// Makes a cgroup of v2 one whose children can have every controller. Returns whether anything was changed.
///
/// # Errors
/// [`fault::CGROUP_BUSY`]: new processes come into it faster than they can be moved.
pub(super) fn nest(base: &Path) -> Result<bool, Fault> {
    let repaired = threaded::repair(base)?;
    Ok(delegate(base)? || repaired)
}

/// Moves all processes of `base` to its leaf and delegates every controller. Returns whether anything was changed.
fn delegate(base: &Path) -> Result<bool, Fault> {
    let available = list(&base.join("cgroup.controllers"))?;
    let leaf = base.join(LEAF);
    let mut changed = false;
    let mut last = io::Error::other("processes keep coming");
    for _ in 0..ROUNDS {
        let pids = list(&base.join("cgroup.procs"))?;
        let delegated = list(&base.join("cgroup.subtree_control"))?;
        let missing: Vec<String> = available
            .iter()
            .filter(|have| !delegated.contains(have))
            .map(|name| format!("+{name}"))
            .collect();
        if pids.is_empty() && missing.is_empty() {
            return Ok(changed);
        }
        changed = true;
        fs::create_dir_all(&leaf).map_err(|error| not_ours(failed("create", &leaf, &error), &error))?;
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
        let control = base.join("cgroup.subtree_control");
        if let Err(error) = fs::write(&control, missing.join(" ")) {
            if error.kind() == io::ErrorKind::PermissionDenied {
                return Err(not_ours(failed("write to", &control, &error), &error));
            }
            last = error;
        }
    }
    let fault = fault::CGROUP_BUSY.cannot("delegate the controllers of", base.display(), last);
    Err(fault
        .hint("start the node in a container of its own, and run `dind-launch prepare` before any engine"))
}

/// A cgroup of another user's: that is no matter of capabilities.
fn not_ours(fault: Fault, error: &io::Error) -> Fault {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return fault;
    }
    let root = Root::default();
    let owner = proc::outer_root(&root.read("/proc/self/uid_map").unwrap_or_default());
    fault.hint(delegation::hint(&proc::cgroups(&root).unwrap_or_default(), owner))
}

fn list(file: &Path) -> Result<Vec<String>, Fault> {
    Ok(words(&fs::read_to_string(file).map_err(|error| failed("read", file, &error))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of plain files stands in for cgroupfs: it keeps what is written, so the loop must give up.
    #[test]
    fn a_cgroup_that_never_empties_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cgroup.controllers"), "cpu memory").unwrap();
        fs::write(directory.path().join("cgroup.procs"), "7\n").unwrap();
        fs::write(directory.path().join("cgroup.subtree_control"), "").unwrap();
        let fault = delegate(directory.path()).unwrap_err();
        assert_eq!(fault.code, fault::CGROUP_BUSY);
        assert_eq!(fs::read_to_string(directory.path().join("init/cgroup.procs")).unwrap(), "7");
        assert_eq!(
            fs::read_to_string(directory.path().join("cgroup.subtree_control")).unwrap(),
            "+cpu +memory"
        );
    }

    #[test]
    fn a_nested_cgroup_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cgroup.controllers"), "cpu memory").unwrap();
        fs::write(directory.path().join("cgroup.procs"), "").unwrap();
        fs::write(directory.path().join("cgroup.subtree_control"), "cpu memory").unwrap();
        assert!(!delegate(directory.path()).unwrap());
        assert!(!directory.path().join("init").exists());
    }
}
