//! The container's control groups, which become the node's: it mounts them anew, and they are given to it from outside. The engine
//! mounts them read-only for the container, so that the way there leads through the node's own mounts.

use super::map::{Ids, Map};
use nix::mount::{MsFlags, mount};
use nix::unistd::{Gid, Pid, Uid, chown};
use std::fs;
use std::io;
use std::path::Path;

/// Where they are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The leaf that processes are moved to, as `prepare` does it.
const LEAF: &str = "init";

/// What whoever makes groups has to own, in v2 (cgroups(7), "Cgroups delegation") and in v1.
const DELEGATED: [&str; 5] = ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"];

/// Mounts the groups. Runs in the node, in a cgroup namespace of its own: nothing above the container's group is there.
pub(super) fn mount_own() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let is_unified = is_unified(Path::new(CGROUPS));
    // Below v2, too: the kernel refuses a second mount of a file system right over the first (`do_add_mount`, fs/namespace.c: EBUSY).
    mount(Some("cgroup"), CGROUPS, Some("tmpfs"), flags, Some("mode=755"))?;
    if is_unified {
        return Ok(mount(Some("cgroup"), CGROUPS, Some("cgroup2"), flags, None::<&str>)?);
    }
    for line in fs::read_to_string("/proc/self/cgroup")?.lines() {
        let Some(controllers) = line.split(':').nth(1).filter(|names| !names.is_empty()) else { continue };
        let directory = Path::new(CGROUPS).join(controllers.trim_start_matches("name="));
        fs::create_dir(&directory)?;
        mount(Some("cgroup"), &directory, Some("cgroup"), flags, Some(controllers))?;
    }
    Ok(())
}

fn is_unified(directory: &Path) -> bool {
    directory.join("cgroup.controllers").exists()
}

/// Gives the groups to the node, and takes all processes of ours out of the way: a group with controllers for those below has no
/// processes itself (cgroup-v2.rst, "No Internal Process Constraint"), and the node cannot see ours.
pub(super) fn give(node: Pid, map: &Map) -> io::Result<()> {
    let base = Path::new("/proc").join(node.to_string()).join("root").join(CGROUPS.trim_start_matches('/'));
    let owner = map.owner(Ids { user: 0, group: 0 });
    if is_unified(&base) {
        let leaf = base.join(LEAF);
        fs::create_dir_all(&leaf)?;
        for pid in fs::read_to_string(base.join("cgroup.procs"))?.lines() {
            // One that has ended needs no place.
            let _ = fs::write(leaf.join("cgroup.procs"), pid);
        }
        give_group(&leaf, owner)?;
        return give_group(&base, owner);
    }
    for entry in fs::read_dir(&base)? {
        give_group(&entry?.path(), owner)?;
    }
    Ok(())
}

/// Its limits stay the machine's: they are other files.
fn give_group(group: &Path, owner: Ids) -> io::Result<()> {
    for file in DELEGATED {
        let path = if file.is_empty() { group.to_owned() } else { group.join(file) };
        match chown(&path, Some(Uid::from_raw(owner.user)), Some(Gid::from_raw(owner.group))) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
