//! What is on the machine at one moment, as /proc and /sys show it.

use dind_system::proc::{self, Mount};
use dind_system::root::Root;
use std::fs;
use std::path::{Path, PathBuf};

/// A loop device that is attached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoopDevice {
    /// `/dev/loop0`.
    pub device: String,
    /// Its file, as the kernel names it: by the path that it has in the mounts of whoever attached it.
    pub file: PathBuf,
}

/// The attached loop devices.
#[must_use]
pub fn loop_devices() -> Vec<LoopDevice> {
    let attached = names("/sys/block").into_iter().filter_map(|name| {
        let file = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).ok()?;
        Some(LoopDevice { device: format!("/dev/{name}"), file: file.trim().into() })
    });
    attached.collect()
}

/// The mounts of this process' namespace; none where they cannot be read.
#[must_use]
pub fn mounts() -> Vec<Mount> {
    proc::mounts(&Root::default()).unwrap_or_default()
}

/// The mounts of another process' namespace; none where the process has ended.
#[must_use]
pub fn mounts_of(pid: i32) -> Vec<Mount> {
    proc::parse_mounts(&fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default())
}

/// The numbers of all processes.
pub fn processes() -> impl Iterator<Item = i32> {
    names("/proc").into_iter().filter_map(|name| name.parse().ok())
}

/// The roots of the control group hierarchies, of version 1 and of version 2.
#[must_use]
pub fn cgroup_roots(mounts: &[Mount]) -> Vec<PathBuf> {
    let hierarchies = mounts.iter().filter(|mount| ["cgroup", "cgroup2"].contains(&mount.kind.as_str()));
    hierarchies.map(|mount| mount.point.clone()).collect()
}

/// The names in a directory; none where it cannot be read.
pub fn names(directory: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(std::io::Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn control_groups_of_both_versions_are_found() {
        let mounts = dind_system::proc::parse_mounts(
            "1 0 0:1 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n2 1 0:2 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             3 1 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n4 0 0:4 / /proc rw - proc proc rw\n",
        );
        let found = super::cgroup_roots(&mounts);
        assert_eq!(found, ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"].map(Path::new));
    }
}
