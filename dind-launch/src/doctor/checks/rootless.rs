//! What a container has to have for a node that makes its own namespaces (`DIND_USERNS=unshare`). Its capabilities there are all that
//! there are; outside, those that engines give by themselves are enough.

use super::super::capabilities::name;
use super::super::facts::{Observed, probe};
use super::super::report::Checks;
use super::privileges;
use dind_system::{PackageManager, Root};
use std::path::Path;

/// To copy files for the node and give them to it, to map its users, and to signal its processes.
const NEEDED: [u32; 7] = [0, 1, 3, 5, 6, 7, 31];

/// Calls that make the namespaces, and what runs in them. `pivot_root` is not among them: without `CAP_SYS_ADMIN` the kernel refuses it
/// as a filter would.
const CALLS: [&str; 5] = ["mount", "umount2", "unshare", "setns", "keyctl"];

pub(in crate::doctor) fn evaluate(root: &Root, observed: &Observed, checks: &mut Checks) {
    capabilities(observed, checks);
    let refused: Vec<_> = CALLS.into_iter().filter(|call| observed.refused.contains(*call)).collect();
    if refused.is_empty() {
        checks.ok("seccomp", "a filter that allows what a node needs, or none");
    } else {
        let found = format!("the seccomp filter refuses {}", refused.join(", "));
        checks.missing(
            "seccomp",
            found,
            "--security-opt seccomp=FILE, whose text `doctor --run-flags` prints",
        );
    }
    privileges::policy(observed, checks);
    user_namespaces(observed, checks);
    let covered = observed.mounts.iter().find(|mount| is_below(&mount.point, "/proc"));
    match covered {
        None => checks.ok("/proc", "all of it can be seen"),
        Some(mount) => checks.missing(
            "/proc",
            format!(
                "{} is covered or read-only, so that the kernel lets no namespace have a /proc of its own",
                mount.point.display()
            ),
            "--security-opt systempaths=unconfined; with podman, --security-opt unmask=ALL",
        ),
    }
    if observed.refuses(probe::TUN) {
        let found = "/dev/net/tun, through which pasta moves packets, cannot be opened, or made";
        checks.missing("/dev/net/tun", found, "--device /dev/net/tun");
    } else {
        checks.ok("/dev/net/tun", "can be opened");
    }
    match crate::paths::program(root, crate::rootless::PASTA) {
        Some(_) => checks.ok("pasta", "installed"),
        None => checks.missing(
            "pasta",
            "pasta, the way out of the node's network, is not installed",
            &super::programs::install(PackageManager::of(root), "pasta", "passt"),
        ),
    }
}

fn is_below(point: &Path, directory: &str) -> bool {
    point != Path::new(directory) && point.starts_with(directory)
}

fn capabilities(observed: &Observed, checks: &mut Checks) {
    if observed.status.euid == Some(0) {
        checks.ok("user", "root");
    } else {
        checks.missing("user", "the container does not run as root", "--user 0");
    }
    for number in NEEDED {
        let name = name(number);
        if observed.status.can(number) {
            checks.ok(&name, "present");
        } else {
            let flag = format!("--cap-add {}", name.trim_start_matches("CAP_"));
            checks.missing(&name, format!("the container does not have {name}"), &flag);
        }
    }
}

/// Three switches of hosts: the kernel's limit, Debian's, and Ubuntu's, which takes the capabilities away in the new namespace.
fn user_namespaces(observed: &Observed, checks: &mut Checks) {
    let switches = [
        (
            "/proc/sys/user/max_user_namespaces",
            "0",
            "sysctl --write user.max_user_namespaces=15000 on the host",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "sysctl --write kernel.unprivileged_userns_clone=1 on the host",
        ),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl --write kernel.apparmor_restrict_unprivileged_userns=0 on the host",
        ),
    ];
    match switches.into_iter().find(|(path, value, _)| observed.value(path) == Some(*value)) {
        None => checks.ok("user namespaces", "allowed"),
        Some((path, value, hint)) => {
            checks.missing("user namespaces", format!("the host allows none: {path} is {value}"), hint);
        }
    }
}
