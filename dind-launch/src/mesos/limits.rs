//! The container's own limits, from cgroups v1 or v2, and the name that its runtime gave it.

use dind_system::Root;
use dind_system::proc::{Cgroup, Mount};
use std::path::{Path, PathBuf};

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
            directories(groups, mounts, controller).iter().filter_map(|directory| read(root, directory)).min()
        };
        let pinned = smallest("cpuset", cpus_of_set).filter(|millis| Some(*millis) < machine_cpus(root));
        Self {
            cpu_millis: smallest("cpu", quota).into_iter().chain(pinned).min(),
            memory_bytes: smallest("memory", memory),
        }
    }
}

/// The directories of a controller, from our own cgroup up to the mount. A v1 hierarchy goes before the unified one beside it.
fn directories(groups: &[Cgroup], mounts: &[Mount], controller: &str) -> Vec<PathBuf> {
    let v1 = mounts
        .iter()
        .rev()
        .find(|mount| mount.kind == "cgroup" && mount.options.iter().any(|option| option == controller));
    let Some(mount) = v1.or_else(|| mounts.iter().rev().find(|mount| mount.kind == "cgroup2")) else {
        return Vec::new();
    };
    let is_ours = |group: &&Cgroup| match v1 {
        Some(_) => group.controllers.split(',').any(|name| name == controller),
        None => group.controllers.is_empty(),
    };
    let own = groups.iter().find(is_ours).map(|group| Path::new(&group.path));
    // Docker mounts the container's own part of a v1 hierarchy, so that the mount's root is our path.
    let below = own.and_then(|path| path.strip_prefix(&mount.root).ok()).unwrap_or(Path::new(""));
    below.ancestors().map(|part| mount.point.join(part)).collect()
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
    fn directories_from_our_own_to_the_mount() {
        let found = |groups: &str, mountinfo: &str, controller: &str| -> Vec<String> {
            let directories = directories(&parse_cgroups(groups), &parse_mounts(mountinfo), controller);
            directories
                .iter()
                .map(|directory| directory.display().to_string().trim_end_matches('/').to_owned())
                .collect()
        };
        let v1 = "30 25 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        assert_eq!(found("4:memory:/docker/abc\n", v1, "memory"), ["/sys/fs/cgroup/memory"]);
        assert_eq!(
            found("4:memory:/docker/abc/leaf\n0::/\n", v1, "memory"),
            ["/sys/fs/cgroup/memory/leaf", "/sys/fs/cgroup/memory"]
        );
        // The machine's whole tree, mounted by the user: the way leads through groups that are not the container's.
        let whole = v1.replace("/docker/abc", "/");
        assert_eq!(found("4:memory:/docker/abc\n", &whole, "memory").len(), 3);
        let v2 = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(found("0::/init\n", v2, "cpu"), ["/sys/fs/cgroup/init", "/sys/fs/cgroup"]);
        // Mounted from another namespace: its root is outside of our own.
        let foreign = v2.replace(" / /sys", " /../../.. /sys");
        assert_eq!(found("0::/\n", &foreign, "cpu"), ["/sys/fs/cgroup"]);
        assert!(found("0::/\n", "", "cpu").is_empty());
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
