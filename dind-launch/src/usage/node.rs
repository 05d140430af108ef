//! What the node uses, with everything that runs in it, from cgroups v1 or v2; and what it may use.

use super::limits::{Limits, machine_cpus, number};
use dind_system::Root;
use dind_system::proc::{self, cgroup_directories};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the node has used by now. Nothing where the kernel does not count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeUsage {
    /// Processor time of all that has ever run in it.
    pub cpu: Option<Duration>,
    /// Memory in bytes, without files that the kernel could drop at once, as `docker stats` counts it.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Thousandths of a CPU that it may use: its limit, or all of the machine's.
    pub cpu_millis: Option<u64>,
    /// Bytes of memory that it may use: its limit, or all of the machine's.
    pub memory_limit_bytes: Option<u64>,
    /// How many processes and threads it may have; nothing where there is no limit.
    pub pids_limit: Option<u64>,
}

impl NodeUsage {
    /// Reads it below a root.
    #[must_use]
    pub fn read(root: &Root) -> Self {
        let (groups, mounts) =
            (proc::cgroups(root).unwrap_or_default(), proc::mounts(root).unwrap_or_default());
        let directories = |controller| cgroup_directories(&groups, &mounts, controller);
        let limits = Limits::read(root, &groups, &mounts);
        let memory = machine_memory(root);
        let pids = directories("pids");
        Self {
            cpu: whole(&directories("cpuacct"), |directory| cpu(root, directory)),
            memory_bytes: whole(&directories("memory"), |directory| used_memory(root, directory)),
            pids: whole(&pids, |directory| number(root, &directory.join("pids.current"))),
            cpu_millis: limits.cpu_millis.into_iter().chain(machine_cpus(root)).min(),
            memory_limit_bytes: limits.memory_bytes.into_iter().chain(memory).min(),
            pids_limit: pids.iter().filter_map(|directory| number(root, &directory.join("pids.max"))).min(),
        }
    }
}

/// What the uppermost directory says that says anything: our own may be a leaf, beside those of the inner containers. The root of all
/// cgroups says nothing in v2.
fn whole<T>(directories: &[PathBuf], read: impl Fn(&Path) -> Option<T>) -> Option<T> {
    directories.iter().rev().find_map(|directory| read(directory))
}

/// `usage_usec` of `cpu.stat`, or in v1 the nanoseconds of `cpuacct.usage`.
fn cpu(root: &Root, directory: &Path) -> Option<Duration> {
    let unified = || field(root, &directory.join("cpu.stat"), "usage_usec").map(Duration::from_micros);
    number(root, &directory.join("cpuacct.usage")).map(Duration::from_nanos).or_else(unified)
}

fn used_memory(root: &Root, directory: &Path) -> Option<u64> {
    let stat = directory.join("memory.stat");
    let (used, droppable) = match number(root, &directory.join("memory.current")) {
        Some(used) => (used, field(root, &stat, "inactive_file")),
        None => (
            number(root, &directory.join("memory.usage_in_bytes"))?,
            field(root, &stat, "total_inactive_file"),
        ),
    };
    Some(used.saturating_sub(droppable.unwrap_or(0)))
}

/// A line of a file such as memory.stat: a word and a number.
fn field(root: &Root, file: &Path, name: &str) -> Option<u64> {
    let text = root.read(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn machine_memory(root: &Root) -> Option<u64> {
    let text = root.read("/proc/meminfo").ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))?;
    Some(kib.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let always = [
            ("sys/devices/system/cpu/online", "0-3\n"),
            ("proc/meminfo", "MemTotal:        8192 kB\nMemFree: 1 kB\n"),
        ];
        for (file, text) in files.iter().copied().chain(always) {
            fs::create_dir_all(root.path(file).parent().unwrap()).unwrap();
            fs::write(root.path(file), text).unwrap();
        }
        (directory, root)
    }

    #[test]
    fn the_whole_node_counts_and_not_our_own_leaf() {
        let (_directory, root) = machine(&[
            ("proc/self/cgroup", "0::/init\n"),
            ("proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
            ("sys/fs/cgroup/init/cpu.stat", "usage_usec 7\n"),
            ("sys/fs/cgroup/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/memory.current", "3000\n"),
            ("sys/fs/cgroup/memory.stat", "anon 5\ninactive_file_not 9\ninactive_file 1000\n"),
            ("sys/fs/cgroup/memory.max", "4096\n"),
            ("sys/fs/cgroup/init/memory.current", "1\n"),
            ("sys/fs/cgroup/pids.current", "12\n"),
            ("sys/fs/cgroup/pids.max", "max\n"),
        ]);
        let expected = NodeUsage {
            cpu: Some(Duration::from_millis(2500)),
            memory_bytes: Some(2000),
            pids: Some(12),
            cpu_millis: Some(1500),
            memory_limit_bytes: Some(4096),
            pids_limit: None,
        };
        assert_eq!(NodeUsage::read(&root), expected);
    }

    #[test]
    fn version_one_is_read_as_well_and_without_limits_the_machine_is_the_limit() {
        let (_directory, root) = machine(&[
            (
                "proc/self/cgroup",
                "3:pids:/docker/a\n2:memory:/docker/a\n1:cpu,cpuacct:/docker/a\n0::/docker/a\n",
            ),
            (
                "proc/self/mountinfo",
                "30 1 0:26 /docker/a /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                 31 1 0:27 /docker/a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                 32 1 0:28 /docker/a /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
            ),
            ("sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "1500000000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "5000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 2000\n"),
            ("sys/fs/cgroup/pids/pids.current", "3\n"),
            ("sys/fs/cgroup/pids/pids.max", "100\n"),
        ]);
        let expected = NodeUsage {
            cpu: Some(Duration::from_millis(1500)),
            memory_bytes: Some(3000),
            pids: Some(3),
            cpu_millis: Some(4000),
            memory_limit_bytes: Some(8192 << 10),
            pids_limit: Some(100),
        };
        assert_eq!(NodeUsage::read(&root), expected);
    }

    #[test]
    fn what_the_kernel_does_not_count_is_not_made_up() {
        let (_directory, root) = machine(&[]);
        let expected = NodeUsage {
            cpu_millis: Some(4000),
            memory_limit_bytes: Some(8192 << 10),
            ..NodeUsage::default()
        };
        assert_eq!(NodeUsage::read(&root), expected);
    }
}
