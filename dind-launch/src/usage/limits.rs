//! The container's own limits, from cgroups v1 or v2.

use dind_system::Root;
use dind_system::proc::{Cgroup, Mount, cgroup_directories};
use std::path::Path;

/// A v1 limit from here on means "unlimited": the kernel writes its largest number of pages then (`PAGE_COUNTER_MAX`).
const UNLIMITED_BYTES: u64 = 1 << 60;

/// What the container may use at most; nothing where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
}

impl Limits {
    /// Reads the limits that hold for this process: the smallest on the way from its cgroup to the root that it sees.
    /// So a launcher that has moved itself into a leaf finds the same limits as before.
    #[must_use]
    pub fn read(root: &Root, groups: &[Cgroup], mounts: &[Mount]) -> Self {
        let smallest = |controller, read: fn(&Root, &Path) -> Option<u64>| {
            let directories = cgroup_directories(groups, mounts, controller);
            directories.iter().filter_map(|directory| read(root, directory)).min()
        };
        let pinned = smallest("cpuset", cpus_of_set).filter(|millis| Some(*millis) < machine_cpus(root));
        Self {
            cpu_millis: smallest("cpu", quota).into_iter().chain(pinned).min(),
            memory_bytes: smallest("memory", memory),
        }
    }
}

pub(super) fn number(root: &Root, file: &Path) -> Option<u64> {
    root.read(file).ok()?.trim().parse().ok()
}

/// `cpu.max` (`150000 100000`, `max 100000`), or the pair of files in v1, where -1 means "no quota".
fn quota(root: &Root, directory: &Path) -> Option<u64> {
    let (quota, period) = match root.read(directory.join("cpu.max")) {
        Ok(text) => {
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.parse().ok()?, period.parse().ok()?)
        }
        Err(_) => (
            number(root, &directory.join("cpu.cfs_quota_us"))?,
            number(root, &directory.join("cpu.cfs_period_us"))?,
        ),
    };
    u64::checked_mul(quota, 1000)?.checked_div(period)
}

fn memory(root: &Root, directory: &Path) -> Option<u64> {
    let limit = number(root, &directory.join("memory.max"))
        .or_else(|| number(root, &directory.join("memory.limit_in_bytes")))?;
    (limit < UNLIMITED_BYTES).then_some(limit)
}

/// The CPUs of `cpuset.cpus`; on v2 it is empty where nobody has chosen.
fn cpus_of_set(root: &Root, directory: &Path) -> Option<u64> {
    count(&root.read(directory.join("cpuset.cpus")).ok()?).filter(|cpus| *cpus > 0).map(|cpus| cpus * 1000)
}

/// The machine's CPUs. A set of all of them does not limit anything.
pub(super) fn machine_cpus(root: &Root) -> Option<u64> {
    count(&root.read("/sys/devices/system/cpu/online").ok()?).map(|cpus| cpus * 1000)
}

/// The members of a list such as `0-3,8` (cpuset(7), "List format").
fn count(list: &str) -> Option<u64> {
    list.trim().split(',').filter(|part| !part.is_empty()).try_fold(0, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        Some(sum + last.checked_sub(first)? + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        for (list, expected) in
            [("0-3,8\n", Some(5)), ("7", Some(1)), ("\n", Some(0)), ("3-1", None), ("all", None)]
        {
            assert_eq!(count(list), expected, "{list:?}");
        }
    }
}
