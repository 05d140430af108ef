//! Whose the container's cgroup is. In a user namespace it stays the machine's unless the runtime gives it to the namespace's root,
//! and that is done by runc with the systemd driver alone, on cgroup v2, in a cgroup namespace (runc 1.1,
//! libcontainer/specconv, `OwnerUID`). What belongs to another user cannot be nested.

use super::facts::{CGROUPS, LEAF};
use dind_system::Root;
use dind_system::proc::{self, Cgroup, Mount};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess};
use std::path::{Path, PathBuf};

/// The file that a nested cgroup's controllers are delegated by; only v2 has it.
const CONTROL: &str = "cgroup.subtree_control";

/// Controllers whose groups every inner container gets.
const CONTROLLERS: [&str; 4] = ["pids", "memory", "cpu", "devices"];

/// The first of our own cgroups whose directory or files belong to another user, so that root here cannot make groups in it.
/// A mount that is read-only does not count: `prepare` makes it writable.
pub(crate) fn denied(root: &Root, groups: &[Cgroup], mounts: &[Mount]) -> Option<PathBuf> {
    let own = CONTROLLERS.into_iter().filter_map(|name| base(groups, mounts, name));
    own.into_iter().find(|group| {
        let files = ["", "cgroup.procs", CONTROL].map(|file| root.path(group.join(file)));
        // A path that is not there says ENOENT; the permissions are asked before the mount's own EROFS.
        files.iter().any(|file| eaccess(file, AccessFlags::W_OK) == Err(Errno::EACCES))
    })
}

/// The cgroup that `prepare` nests: our own, or the one above the leaf where an earlier run has put us.
fn base(groups: &[Cgroup], mounts: &[Mount], controller: &str) -> Option<PathBuf> {
    let own = proc::cgroup_directories(groups, mounts, controller).into_iter().next()?;
    let in_leaf = own.ends_with(LEAF);
    Some(if in_leaf { own.parent()?.to_owned() } else { own })
}

/// What makes the container's cgroup its own, for a namespace whose root is the machine's user `owner`.
pub(crate) fn hint(groups: &[Cgroup], owner: Option<u32>) -> String {
    let unified = groups.iter().all(|group| group.controllers.is_empty());
    let Some(owner) = owner.filter(|_| unified) else {
        return "boot the host with cgroup v2: systemd.unified_cgroup_hierarchy=1 on the kernel's command line".to_owned();
    };
    let namespace = groups.iter().any(|group| {
        let path = Path::new(&group.path);
        !(path == Path::new("/") || path == Path::new("/").join(LEAF))
    });
    let namespace = if namespace { "run the container with --cgroupns private, and " } else { "" };
    format!(
        "{namespace}set \"exec-opts\": [\"native.cgroupdriver=systemd\"] in the host's daemon.json; with podman, --runtime crun, or with runc \
         --security-opt unmask=/sys/fs/cgroup. Where the host has no systemd, \
         start the node with an entrypoint that waits until {CGROUPS}/cgroup.procs is writable, and on the host: \
         chown {owner} the node's cgroup and the files cgroup.procs, cgroup.threads and {CONTROL} in it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::{parse_cgroups, parse_mounts};

    #[test]
    fn the_group_above_our_leaf_is_the_one_that_counts() {
        let mounts = parse_mounts("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
        for (own, expected) in [
            ("0::/", "/sys/fs/cgroup"),
            ("0::/init", "/sys/fs/cgroup"),
            ("0::/docker/abc", "/sys/fs/cgroup/docker/abc"),
        ] {
            assert_eq!(base(&parse_cgroups(own), &mounts, "pids").unwrap(), Path::new(expected), "{own}");
        }
        let v1 = parse_mounts("1 0 0:1 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n");
        let group = parse_cgroups("3:pids:/docker/abc\n0::/docker/abc\n");
        assert_eq!(base(&group, &v1, "pids").unwrap(), Path::new("/sys/fs/cgroup/pids"));
    }

    #[test]
    fn each_kind_of_host_gets_its_own_hint() {
        let of = |text: &str, owner| hint(&parse_cgroups(text), owner);
        assert!(of("3:pids:/\n0::/\n", Some(165_536)).contains("boot the host with cgroup v2"));
        let private = of("0::/\n", Some(165_536));
        assert!(private.starts_with("set \"exec-opts\"") && private.contains("chown 165536 "), "{private}");
        assert!(
            of("0::/docker/abc\n", Some(165_536)).starts_with("run the container with --cgroupns private")
        );
    }
}
