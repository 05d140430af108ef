//! Checks cgroups and the network settings: what `prepare` makes writable where it can.

use crate::doctor::facts::Observed;
use crate::doctor::facts::probe;
use crate::doctor::report::Checks;
use crate::doctor::run_flags;
use crate::prepare::delegation;
use dind_system::proc::{CAP_SYS_ADMIN, Mount, outer_root};

pub(super) fn evaluate(observed: &Observed, checks: &mut Checks) {
    // `prepare` mounts and remounts, if it has the capability. Where it has not, these say what needs it.
    let can_mount = observed.may_hold(CAP_SYS_ADMIN);
    let groups: Vec<_> = observed.mounts.iter().filter(|mount| mount.kind.starts_with("cgroup")).collect();
    let read_only = groups.iter().any(|mount| !mount.is_writable());
    if observed.refuses(probe::CGROUP) && observed.has_selinux_label() && !observed.in_user_namespace {
        let found = format!("SELinux lets the container make no groups (`{}`)", observed.confinement);
        checks.missing("cgroups", found, &format!("--security-opt {}", run_flags::NO_LABEL));
    } else if observed.refuses(probe::CGROUP) {
        let found = "the container's cgroup belongs to another user: no groups can be made in it";
        let hint = delegation::hint(&observed.cgroups, outer_root(&observed.uid_map));
        checks.missing("cgroups", found, &hint);
    } else if can_mount || !(read_only || groups.is_empty()) {
        let found =
            if read_only { "read-only, and can be made writable" } else { "writable, or can be mounted" };
        checks.ok("cgroups", found);
    } else {
        let found = if read_only { "the cgroup mounts are read-only" } else { "no cgroup is mounted" };
        let hint =
            "--privileged, or --cap-add SYS_ADMIN; Docker 28 also has --security-opt writable-cgroups=true";
        checks.missing("cgroups", found, hint);
    }
    let forward = "/proc/sys/net/ipv4/ip_forward";
    let on = observed.value(forward) == Some("1");
    let writable = observed.mount_of(forward).is_some_and(Mount::is_writable);
    if on || writable || can_mount {
        checks.ok("ip_forward", if on { "on" } else { "off, and can be switched on" });
    } else {
        let hint = "--privileged, or --cap-add SYS_ADMIN, or --sysctl net.ipv4.ip_forward=1";
        checks.missing(
            "ip_forward",
            "ip_forward is off and /proc/sys is read-only, so dockerd cannot switch it on",
            hint,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;
    use dind_system::proc::{self, Status};

    const WITHOUT: u64 = 0xa804_25fb;
    const WITH: u64 = 0xa824_35fb;

    fn verdicts(effective: u64, mode: &str, forward: &str) -> [Verdict; 2] {
        let text = format!(
            "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /proc rw - proc proc rw\n3 2 0:2 /sys /proc/sys {mode} - proc proc rw\n\
             4 1 0:3 / /sys/fs/cgroup/pids {mode} - cgroup cgroup rw,pids\n"
        );
        let values = [("/proc/sys/net/ipv4/ip_forward", forward.to_owned())].into();
        let observed = Observed {
            status: Status { euid: Some(0), effective, ..Status::default() },
            mounts: proc::parse_mounts(&text),
            values,
            ..Observed::default()
        };
        let mut checks = Checks::default();
        evaluate(&observed, &mut checks);
        ["cgroups", "ip_forward"].map(|name| checks.outcome(name).0)
    }

    #[test]
    fn a_cgroup_of_another_user_is_named_with_the_driver_that_gives_it() {
        let observed = Observed {
            status: Status { euid: Some(0), effective: WITH, ..Status::default() },
            mounts: proc::parse_mounts("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"),
            cgroups: proc::parse_cgroups("0::/\n"),
            uid_map: "0 165536 65536\n".to_owned(),
            refused: [probe::CGROUP.to_owned()].into(),
            ..Observed::default()
        };
        let mut checks = Checks::default();
        evaluate(&observed, &mut checks);
        let (verdict, hint) = checks.outcome("cgroups");
        assert!(verdict == Verdict::Missing && hint.contains("native.cgroupdriver=systemd"), "{hint}");
    }

    /// As container_t of Debian 13's policy is kept from it, on Linux 6.12.
    #[test]
    fn a_cgroup_that_selinux_keeps_is_named_with_the_flag_that_gives_it() {
        let observed = Observed {
            status: Status { euid: Some(0), effective: WITH, ..Status::default() },
            confinement: "system_u:system_r:container_t:s0:c94,c966".to_owned(),
            mounts: proc::parse_mounts("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"),
            cgroups: proc::parse_cgroups("0::/\n"),
            refused: [probe::CGROUP.to_owned()].into(),
            ..Observed::default()
        };
        let mut checks = Checks::default();
        evaluate(&observed, &mut checks);
        assert_eq!(checks.outcome("cgroups"), (Verdict::Missing, "--security-opt label=disable"));
    }

    #[test]
    fn what_is_read_only_matters_where_it_cannot_be_remounted() {
        assert_eq!(verdicts(WITH, "ro", "0"), [Verdict::Ok; 2]);
        assert_eq!(verdicts(WITHOUT, "ro", "0"), [Verdict::Missing; 2]);
        assert_eq!(verdicts(WITHOUT, "ro", "1"), [Verdict::Missing, Verdict::Ok]);
        assert_eq!(verdicts(WITHOUT, "rw", "0"), [Verdict::Ok; 2]);
    }
}
