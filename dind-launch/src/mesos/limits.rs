//! The container's own limits, from cgroups v1 or v2, and the name that its runtime gave it.

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

fn number(root: &Root, file: &Path) -> Option<u64> {
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
fn machine_cpus(root: &Root) -> Option<u64> {
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

/// The first twelve digits of the container's id, as its runtime has put it into cgroup paths or into the sources of
/// /etc/hostname and its like. A cgroup path goes first: containers that share a network share those files, too.
#[must_use]
pub(super) fn container_id(groups: &[Cgroup], mounts: &[Mount]) -> Option<String> {
    let of_group = || {
        let mut words =
            groups.iter().flat_map(|group| group.path.split(|c: char| !c.is_ascii_alphanumeric()));
        words.find(|word| is_id(word)).map(str::to_owned)
    };
    let of_file = |mount: &Mount| {
        let root = mount.root.to_string_lossy();
        let word = root.split("/containers/").nth(1)?.split('/').next()?;
        is_id(word).then(|| word.to_owned())
    };
    let id = of_group().or_else(|| mounts.iter().find_map(of_file))?;
    Some(id[..12].to_owned())
}

fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::{parse_cgroups, parse_mounts};

    #[test]
    fn lists_of_cpus() {
        for (list, expected) in
            [("0-3,8\n", Some(5)), ("7", Some(1)), ("\n", Some(0)), ("3-1", None), ("all", None)]
        {
            assert_eq!(count(list), expected, "{list:?}");
        }
    }

    #[test]
    fn ids_of_containers() {
        let id = "0123456789abcdef".repeat(4);
        let file = |id: &str| {
            parse_mounts(&format!(
                "31 1 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 a rw\n"
            ))
        };
        let scope = format!("0::/system.slice/docker-{id}.scope\n");
        assert_eq!(
            container_id(&parse_cgroups(&scope), &file(&"f".repeat(64))).as_deref(),
            Some("0123456789ab")
        );
        assert_eq!(container_id(&parse_cgroups("0::/\n"), &file(&id)).as_deref(), Some("0123456789ab"));
        assert_eq!(container_id(&parse_cgroups("0::/user.slice\n"), &file("short")), None);
    }
}
