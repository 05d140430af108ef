//! Checks the cgroup mounts and the other parts of the mount tree that a start makes writable.

use super::capabilities::SYS_ADMIN;
use super::facts::Observed;
use super::report::Checks;

pub(super) fn evaluate(observed: &Observed, checks: &mut Checks) {
    // `prepare` mounts and remounts; what is missing then is the capability, and these say what for.
    let can_mount = observed.may_hold(SYS_ADMIN);
    let groups: Vec<_> = observed.mounts.iter().filter(|mount| mount.kind.starts_with("cgroup")).collect();
    let read_only = groups.iter().any(|mount| mount.read_only);
    if can_mount || !(read_only || groups.is_empty()) {
        let found =
            if read_only { "read-only, and can be made writable" } else { "writable, or can be mounted" };
        checks.ok("cgroups", found);
    } else {
        let found = if read_only { "the cgroup mounts are read-only" } else { "no cgroup is mounted" };
        let cure =
            "--privileged, or --cap-add SYS_ADMIN; Docker 28 also has --security-opt writable-cgroups=true";
        checks.missing("cgroups", found, cure);
    }
    let forward = "/proc/sys/net/ipv4/ip_forward";
    let on = observed.value(forward) == Some("1");
    let writable = observed.mount_of(forward).is_some_and(|mount| !mount.read_only);
    if on || writable || can_mount {
        checks.ok("ip_forward", if on { "on" } else { "off, and can be switched on" });
    } else {
        let cure = "--privileged, or --cap-add SYS_ADMIN, or --sysctl net.ipv4.ip_forward=1";
        checks.missing(
            "ip_forward",
            "ip_forward is off, and /proc/sys is read-only: dockerd cannot switch it on",
            cure,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use dind_system::proc::{self, Status};

    const WITHOUT: u64 = 0xa804_25fb;
    const WITH: u64 = 0xa824_35fb;

    fn told(effective: u64, mode: &str, forward: &str) -> [Verdict; 2] {
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
        ["cgroups", "ip_forward"].map(|name| checks.told(name).0)
    }

    #[test]
    fn what_is_read_only_matters_where_it_cannot_be_remounted() {
        assert_eq!(told(WITH, "ro", "0"), [Verdict::Ok; 2]);
        assert_eq!(told(WITHOUT, "ro", "0"), [Verdict::Missing; 2]);
        assert_eq!(told(WITHOUT, "ro", "1"), [Verdict::Missing, Verdict::Ok]);
        assert_eq!(told(WITHOUT, "rw", "0"), [Verdict::Ok; 2]);
    }
}
