//! Checks for limits that are too low: a node runs until its inner containers hit them.

use crate::doctor::facts::Observed;
use crate::doctor::report::Checks;

/// Of all nodes on the machine together: root's instances are counted by user. kind's documentation asks for these
/// ("Known issues: pod errors due to too many open files").
const INOTIFY: [(&str, &str, u64); 2] =
    [("inotify instances", "max_user_instances", 512), ("inotify watches", "max_user_watches", 65_536)];

/// Inner containers inherit the hard limit. moby's own unit asks for 524288; databases ask for this.
const OPEN_FILES: u64 = 65_536;

/// Limits of processes count for a user on the whole machine, root excepted. Below this, databases and JVMs in a few inner
/// containers run into them.
const PROCESSES: u64 = 4096;

/// dockerd and containerd take about sixty threads, the shim and the proxies of an inner container a dozen and more.
const PIDS: u64 = 512;

/// dockerd and containerd take about 100 MiB, in bytes.
const MEMORY: u64 = 256 << 20;

/// runc makes a key for each inner container. Outside of user namespaces root may have a million, other users 200
/// (keyrings(7), `maxkeys`).
const KEYS: u64 = 1000;

pub(super) fn evaluate_container(observed: &Observed, checks: &mut Checks) {
    let per_process = |hard: u64| {
        format!("the limit of open files is {hard} for each process, which is too low for some programs")
    };
    let files = hard_limit(&observed.limits, "Max open files");
    check(checks, "open files", files, OPEN_FILES, per_process, "--ulimit nofile=1024:524288");
    let per_user =
        |hard: u64| format!("a user may have only {hard} processes and threads, on the whole machine");
    let processes = hard_limit(&observed.limits, "Max processes");
    check(checks, "processes of a user", processes, PROCESSES, per_user, "--ulimit nproc=-1");
    let all = |limit: u64| {
        format!(
            "the container may have only {limit} processes and threads: the engine takes about 60, and each inner container a dozen beside its own"
        )
    };
    check(checks, "processes", observed.pids, PIDS, all, "--pids-limit -1, or a larger limit");
    let memory = |limit: u64| {
        format!("the container may use only {} MiB of memory: the engine alone takes about 100", limit >> 20)
    };
    check(checks, "memory", observed.memory, MEMORY, memory, "--memory 512m, or more");
}

/// A limit that is absent is high enough.
fn check(
    checks: &mut Checks,
    name: &str,
    limit: Option<u64>,
    least: u64,
    found: impl Fn(u64) -> String,
    hint: &str,
) {
    match limit.filter(|limit| *limit < least) {
        None => checks.ok(name, "enough, or unlimited"),
        Some(limit) => checks.degraded(name, found(limit), hint),
    }
}

pub(super) fn evaluate_kernel(observed: &Observed, checks: &mut Checks) {
    keys(observed, checks);
    for (name, key, least) in INOTIFY {
        let limit =
            observed.value(&format!("/proc/sys/fs/inotify/{key}")).and_then(|text| text.parse::<u64>().ok());
        match limit.filter(|limit| *limit < least) {
            None => checks.ok(name, "enough"),
            Some(limit) => checks.degraded(
                name,
                format!(
                    "root has only {limit} {name} on the whole machine: with many containers, programs fail with `too many open files`"
                ),
                &format!("sysctl --write fs.inotify.{key}={least} on the host"),
            ),
        }
    }
}

/// Inner containers' keys are root's, or in a user namespace those of the user that root is outside.
fn keys(observed: &Observed, checks: &mut Checks) {
    let key = if observed.in_user_namespace { "maxkeys" } else { "root_maxkeys" };
    let path = format!("/proc/sys/kernel/keys/{key}");
    let limit = observed.value(&path).and_then(|text| text.parse().ok());
    let found = |limit: u64| {
        format!(
            "the user may have only {limit} keys on the whole machine, and each inner container takes one"
        )
    };
    let hint = format!("sysctl --write kernel.keys.{key}={KEYS} on the host");
    check(checks, "user keys", limit, KEYS, found, &hint);
}

/// The hard limit of a line `NAME  SOFT  HARD  UNIT` (proc_pid_limits(5)); none for `unlimited`.
fn hard_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;

    #[test]
    fn the_hard_limit_counts() {
        let verdict = |hard: &str| {
            let limits = format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024   {hard}   files\n"
            );
            let mut checks = Checks::default();
            evaluate_container(&Observed { limits, ..Observed::default() }, &mut checks);
            checks.outcome("open files").0
        };
        assert_eq!(verdict("4096"), Verdict::Degraded);
        assert_eq!(verdict("524288"), Verdict::Ok);
        assert_eq!(verdict("unlimited"), Verdict::Ok);
    }

    #[test]
    fn what_the_container_and_its_users_may_have() {
        let evaluated = |observed: Observed| {
            let mut checks = Checks::default();
            evaluate_container(&observed, &mut checks);
            evaluate_kernel(&observed, &mut checks);
            checks
        };
        let limits = "Max processes             1024   2048   processes\n".to_owned();
        let values = [
            ("/proc/sys/kernel/keys/maxkeys", "200".to_owned()),
            ("/proc/sys/kernel/keys/root_maxkeys", "1000000".to_owned()),
        ];
        let low = Observed {
            limits,
            pids: Some(100),
            memory: Some(128 << 20),
            values: values.clone().into(),
            in_user_namespace: true,
            ..Observed::default()
        };
        let checks = evaluated(low);
        for (name, hint) in [
            ("processes of a user", "--ulimit nproc"),
            ("processes", "--pids-limit"),
            ("memory", "--memory"),
            ("user keys", "kernel.keys.maxkeys="),
        ] {
            let (verdict, found) = checks.outcome(name);
            assert!(verdict == Verdict::Degraded && found.contains(hint), "{name}: {found}");
        }
        let high = evaluated(Observed { values: values.into(), ..Observed::default() });
        for name in ["processes of a user", "processes", "memory", "user keys"] {
            assert_eq!(high.outcome(name).0, Verdict::Ok, "{name}");
        }
    }

    #[test]
    fn inotify() {
        let values = [
            ("/proc/sys/fs/inotify/max_user_instances", "128".to_owned()),
            ("/proc/sys/fs/inotify/max_user_watches", "524288".to_owned()),
        ];
        let mut checks = Checks::default();
        evaluate_kernel(&Observed { values: values.into(), ..Observed::default() }, &mut checks);
        let hint = "sysctl --write fs.inotify.max_user_instances=512 on the host";
        assert_eq!(checks.outcome("inotify instances"), (Verdict::Degraded, hint));
        assert_eq!(checks.outcome("inotify watches").0, Verdict::Ok);
    }
}
