//! Takes a cgroup v2 out of threaded mode. An engine that runs in a container before its cgroups were nested gets only the
//! controllers that threads can share (cpu, cpuset, pids). Its containers' groups, and the one above them, stay threaded, and
//! then never accept `memory` or `io` (cgroup-v2.rst, "Threads").

use super::error::failed;
use crate::fault;
use dind_contract::Fault;
use std::fs;
use std::io;
use std::path::Path;

/// Makes `base` an ordinary domain again where an engine has left it threaded. Returns whether anything was changed.
///
/// # Errors
/// [`fault::CGROUP_BUSY`]: processes are in the threaded groups.
pub(super) fn repair(base: &Path) -> Result<bool, Fault> {
    if read(&base.join("cgroup.type"))?.trim() != "domain threaded" {
        return Ok(false);
    }
    let busy = |error: io::Error| {
        let fault = fault::CGROUP_BUSY.cannot("take out of threaded mode", base.display(), error);
        fault.hint("an engine has run here unprepared: stop it and its containers, or start a new container for the node")
    };
    remove_groups(base).map_err(busy)?;
    let control = base.join("cgroup.subtree_control");
    let delegated: Vec<_> = read(&control)?.split_whitespace().map(|name| format!("-{name}")).collect();
    if !delegated.is_empty() {
        fs::write(&control, delegated.join(" ")).map_err(busy)?;
    }
    Ok(true)
}

/// Removes what is below `group`; the kernel refuses a group with processes.
fn remove_groups(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_groups(&entry.path())?;
            fs::remove_dir(entry.path())?;
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, Fault> {
    fs::read_to_string(file).map_err(|error| failed("read", file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cgroup.type"), "domain\n").unwrap();
        fs::create_dir(directory.path().join("docker")).unwrap();
        assert!(!repair(directory.path()).unwrap());
        assert!(directory.path().join("docker").exists());
    }

    #[test]
    fn groups_go_and_controllers_are_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cgroup.type"), "domain threaded\n").unwrap();
        fs::write(directory.path().join("cgroup.subtree_control"), "cpu pids\n").unwrap();
        fs::create_dir_all(directory.path().join("docker/abc")).unwrap();
        assert!(repair(directory.path()).unwrap());
        assert!(!directory.path().join("docker").exists());
        assert_eq!(
            fs::read_to_string(directory.path().join("cgroup.subtree_control")).unwrap(),
            "-cpu -pids"
        );
    }
}
