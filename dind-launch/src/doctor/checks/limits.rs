//! Checks for limits that are too low: a node runs until its inner containers hit them.

use crate::doctor::facts::Observed;
use crate::doctor::report::Checks;

/// Of all nodes on the machine together: root's instances are counted by user. kind's documentation asks for these
/// ("Known issues: pod errors due to too many open files").
const INOTIFY: [(&str, &str, u64); 2] =
    [("inotify instances", "max_user_instances", 512), ("inotify watches", "max_user_watches", 65_536)];

/// Inner containers inherit the hard limit. moby's own unit asks for 524288; databases ask for this.
const OPEN_FILES: u64 = 65_536;

pub(super) fn evaluate_container(observed: &Observed, checks: &mut Checks) {
    let hard = hard_open_files(&observed.limits);
    match hard.filter(|hard| *hard < OPEN_FILES) {
        None => checks.ok("open files", "enough, or unlimited"),
        Some(hard) => checks.degraded(
            "open files",
            format!("the limit of open files is {hard} for each process, which is too low for some programs"),
            "--ulimit nofile=1024:524288",
        ),
    }
}

pub(super) fn evaluate_kernel(observed: &Observed, checks: &mut Checks) {
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

/// The hard limit of the line `Max open files  SOFT  HARD  files` (proc_pid_limits(5)); none for `unlimited`.
fn hard_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
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
