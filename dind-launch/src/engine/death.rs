//! Why a daemon may have died, from what outlives it: the counters of its cgroup, and the filesystems that it writes to.
//!
//! Its own log seldom says so. The kernel kills without a word to the victim, and Go prints hundreds of lines of goroutines
//! when a thread is refused.

use super::writable::write_and_remove;
use crate::paths::RUN_DIR;
use dind_system::Root;
use dind_system::proc::{cgroup_directories, cgroups, mounts};
use nix::errno::Errno;
use nix::sys::statvfs::{Statvfs, statvfs};
use std::path::{Path, PathBuf};

/// Below this many free bytes a filesystem counts as full: a daemon that dies for want of space gives some of it back.
const FULL: u64 = 1 << 20;

/// What is known of a death: a cause, and what helps against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// As it stands among the causes of a fault.
    pub cause: String,
    /// For people who run the node.
    pub hint: &'static str,
}

/// Counters of the cgroup that a daemon shares with us. They only rise, so what counts is the difference to its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    oom_kills: u64,
    refused_forks: u64,
}

impl Counters {
    /// Reads them, of cgroup v1 or v2; zero where there are none.
    ///
    /// Inner containers have cgroups below ours. What happens to them is not counted: of memory, only kills in our own
    /// cgroup are (`memory.events.local`, and always in v1); of processes, only refusals by a limit between our cgroup and
    /// the container's (`pids.events.local` since Linux 6.11; before that `pids.events` counts the refused forks of the
    /// cgroup's own processes).
    #[must_use]
    pub fn read(root: &Root) -> Self {
        let (groups, mounts) = (cgroups(root).unwrap_or_default(), mounts(root).unwrap_or_default());
        let count = |directory: &PathBuf, files: &[&str], key: &str| {
            let text = files.iter().find_map(|file| root.read(directory.join(file)).ok())?;
            text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok())
        };
        let memory = ["memory.events.local", "memory.events", "memory.oom_control"];
        let pids = ["pids.events.local", "pids.events"];
        let directories = |controller| cgroup_directories(&groups, &mounts, controller);
        Self {
            oom_kills: directories("memory")
                .first()
                .and_then(|directory| count(directory, &memory, "oom_kill "))
                .unwrap_or(0),
            refused_forks: directories("pids")
                .iter()
                .filter_map(|directory| count(directory, &pids, "max "))
                .sum(),
        }
    }

    fn findings(self, now: Self) -> Vec<Finding> {
        let kills = now.oom_kills.saturating_sub(self.oom_kills);
        let refusals = now.refused_forks.saturating_sub(self.refused_forks);
        let oom = Finding {
            cause: format!(
                "out of memory: the kernel has killed {kills} of the node's processes since the start of this one (oom_kill)"
            ),
            hint: "give the container more memory: docker run --memory",
        };
        let pids = Finding {
            cause: format!(
                "too many processes: the container's pids limit was reached {refusals} times since the start of this one (pids.events)"
            ),
            hint: "give the container more processes and threads: docker run --pids-limit",
        };
        [(kills, oom), (refusals, pids)]
            .into_iter()
            .filter_map(|(count, finding)| (count > 0).then_some(finding))
            .collect()
    }
}

/// What is known of the death of a daemon that was started when the counters were these.
#[must_use]
pub fn findings(then: Counters, data_root: &Path) -> Vec<Finding> {
    let mut findings = then.findings(Counters::read(&Root::default()));
    for directory in [data_root, Path::new(RUN_DIR)] {
        let refusal = write_and_remove(directory).err().and_then(|error| error.raw_os_error());
        let refusal = refusal.map(Errno::from_raw);
        let space = statvfs(directory).map(|state| Space::of(&state, refusal));
        findings.extend(space.ok().and_then(|space| of_filesystem(directory, space)));
    }
    findings
}

/// What a filesystem has left.
#[derive(Clone, Copy, Debug)]
struct Space {
    read_only: bool,
    free_bytes: u64,
    /// Nothing where the filesystem makes inodes as they are needed.
    free_inodes: Option<u64>,
}

impl Space {
    /// `refusal` is what a write was refused with: a file system that has met an error may not count as read-only.
    fn of(state: &Statvfs, refusal: Option<Errno>) -> Self {
        Self {
            read_only: refusal == Some(Errno::EROFS),
            // root may use the reserve as well.
            free_bytes: state.blocks_free().saturating_mul(state.fragment_size()),
            free_inodes: (state.files() > 0).then(|| state.files_free()),
        }
    }
}

fn of_filesystem(directory: &Path, space: Space) -> Option<Finding> {
    let directory = directory.display();
    if space.read_only {
        let cause = format!("`{directory}` is on a read-only filesystem (EROFS)");
        let hint = "the kernel's log (dmesg) says whether errors made it read-only; a volume mounted with :ro is one, too";
        return Some(Finding { cause, hint });
    }
    let hint = "free space there, or give it more: a larger volume, tmpfs, or VAR_LIB_DOCKER_SIZE";
    if space.free_inodes == Some(0) {
        return Some(Finding { cause: format!("`{directory}` has no inodes left (ENOSPC)"), hint });
    }
    let cause = format!("`{directory}` is full: {} KiB are free (ENOSPC)", space.free_bytes / 1024);
    (space.free_bytes < FULL).then_some(Finding { cause, hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A machine with these files.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::at(directory.path());
        (directory, root)
    }

    const V1: [(&str, &str); 2] = [
        ("proc/self/cgroup", "8:pids:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n"),
        (
            "proc/self/mountinfo",
            "30 25 0:26 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             31 25 0:27 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
        ),
    ];
    const V2: [(&str, &str); 2] = [
        ("proc/self/cgroup", "0::/init\n"),
        ("proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n"),
    ];

    fn counters(base: &[(&str, &str)], files: &[(&str, &str)]) -> (u64, u64) {
        let (_directory, root) = machine(&[base, files].concat());
        let counters = Counters::read(&root);
        (counters.oom_kills, counters.refused_forks)
    }

    #[test]
    fn kills_for_memory_and_refused_forks_are_counted() {
        let v1 = [
            ("sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
            ("sys/fs/cgroup/pids/pids.events", "max 7\n"),
        ];
        assert_eq!(counters(&V1, &v1), (2, 7));
        // Linux 5.2 to 6.10: forks are counted in the cgroup of the process that was refused.
        let v2 = [
            ("sys/fs/cgroup/memory.events", "low 0\nhigh 0\nmax 52\noom 9\noom_kill 9\noom_group_kill 0\n"),
            (
                "sys/fs/cgroup/init/memory.events",
                "low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\noom_group_kill 0\n",
            ),
            (
                "sys/fs/cgroup/init/memory.events.local",
                "low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\noom_group_kill 0\n",
            ),
            ("sys/fs/cgroup/pids.events", "max 0\n"),
            ("sys/fs/cgroup/init/pids.events", "max 4\n"),
        ];
        assert_eq!(counters(&V2, &v2), (1, 4), "inner containers killed the other eight");
        // Since 6.11 in the cgroup that has the limit, and in all above it those of inner containers, too.
        let v2_new = [
            ("sys/fs/cgroup/pids.events", "max 90\n"),
            ("sys/fs/cgroup/pids.events.local", "max 5\n"),
            ("sys/fs/cgroup/init/pids.events", "max 0\n"),
            ("sys/fs/cgroup/init/pids.events.local", "max 0\n"),
        ];
        assert_eq!(counters(&V2, &v2_new), (0, 5));
        assert_eq!(counters(&[], &[]), (0, 0));
    }

    #[test]
    fn what_was_counted_before_a_daemon_is_no_cause_of_its_death() {
        let then = Counters { oom_kills: 2, refused_forks: 5 };
        assert_eq!(then.findings(then), []);
        let now = Counters { oom_kills: 3, refused_forks: 6 };
        let found = then.findings(now);
        assert!(found[0].cause.contains("killed 1 of") && found[0].hint.contains("--memory"), "{found:?}");
        assert!(
            found[1].cause.contains("reached 1 times") && found[1].hint.contains("--pids-limit"),
            "{found:?}"
        );
    }

    #[test]
    fn a_filesystem_without_space_inodes_or_writing_is_found() {
        let good = Space { read_only: false, free_bytes: 1 << 30, free_inodes: Some(100) };
        let found = |space| of_filesystem(Path::new("/data"), space).map(|finding| finding.cause);
        assert_eq!(found(good), None);
        assert_eq!(found(Space { free_inodes: None, ..good }), None);
        let full = Space { free_bytes: 380 * 1024, ..good };
        assert_eq!(found(full).unwrap(), "`/data` is full: 380 KiB are free (ENOSPC)");
        assert_eq!(
            found(Space { free_inodes: Some(0), ..good }).unwrap(),
            "`/data` has no inodes left (ENOSPC)"
        );
        let read_only = found(Space { read_only: true, ..full }).unwrap();
        assert_eq!(read_only, "`/data` is on a read-only filesystem (EROFS)");
    }
}
