//! Checks what the machine's kernel can do. No docker flag helps with any of it.

use crate::doctor::facts::Observed;
use crate::doctor::facts::{KINDS, NF_TABLES};
use crate::doctor::report::Checks;

/// Namespaces that every container is made of (namespaces(7)).
const NAMESPACES: [&str; 5] = ["ipc", "mnt", "net", "pid", "uts"];

/// What limits inner containers. `devices` is a hierarchy of v1 only; on v2 programs of bpf(2) do its work.
const CONTROLLERS: [&str; 4] = ["cpu", "memory", "pids", "devices"];

pub(super) fn evaluate(observed: &Observed, checks: &mut Checks) {
    let has =
        |name: &str| observed.filesystems.lines().any(|line| line.split_whitespace().last() == Some(name));
    match has("overlay") || has("aufs") {
        true => checks.ok("union filesystem", "overlay or aufs"),
        false => checks.degraded(
            "union filesystem",
            "neither overlay nor aufs in /proc/filesystems",
            "load the module on the host: modprobe overlay",
        ),
    }
    let missing: Vec<_> =
        NAMESPACES.into_iter().filter(|kind| !observed.namespaces.iter().any(|have| have == kind)).collect();
    match missing.is_empty() {
        true => checks.ok("namespaces", NAMESPACES.join(", ")),
        false => checks.missing(
            "namespaces",
            format!("the kernel does not support {} namespaces", missing.join(", ")),
            "use a kernel that is built with CONFIG_NAMESPACES and all options below it",
        ),
    }
    for kind in KINDS {
        match observed.refuses(kind) {
            false => checks.ok(kind, "supported"),
            true => checks.missing(
                kind,
                format!("the kernel does not support {kind} links"),
                &format!("load the module on the host: modprobe {kind}"),
            ),
        }
    }
    let legacy = observed.files.contains("/proc/net/ip_tables_names");
    match observed.refuses(NF_TABLES) && !legacy {
        false => checks.ok("packet filter", if legacy { "ip_tables" } else { "nf_tables" }),
        true => checks.missing(
            "packet filter",
            "the kernel supports neither nf_tables nor ip_tables",
            "load a module on the host: modprobe nf_tables, or modprobe ip_tables",
        ),
    }
    controllers(observed, checks);
}

fn controllers(observed: &Observed, checks: &mut Checks) {
    let old = observed.cgroups.iter().flat_map(|cgroup| cgroup.controllers.split(','));
    let unified = observed.controllers.as_deref().unwrap_or_default().split_whitespace();
    let present: Vec<_> = old.chain(unified).collect();
    let missing = CONTROLLERS.into_iter().filter(|name| !present.contains(name));
    let missing: Vec<_> =
        missing.filter(|name| observed.controllers.is_none() || *name != "devices").collect();
    match missing.is_empty() {
        true => checks.ok("cgroup controllers", "all that limits need"),
        false => {
            let boot: Vec<_> = missing.iter().map(|name| format!("cgroup_enable={name}")).collect();
            checks.degraded(
                "cgroup controllers",
                format!(
                    "no cgroup controller for {}: these limits of inner containers are not enforced",
                    missing.join(", ")
                ),
                &format!("mount them on the host, or boot it with {}", boot.join(" ")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;
    use dind_system::proc;

    fn evaluated(observed: &Observed) -> Checks {
        let mut checks = Checks::default();
        evaluate(observed, &mut checks);
        checks
    }

    fn refusing(names: &[&str]) -> Observed {
        Observed { refused: names.iter().map(|name| (*name).to_owned()).collect(), ..Observed::default() }
    }

    #[test]
    fn one_packet_filter_is_enough() {
        assert_eq!(evaluated(&refusing(&[])).outcome("packet filter").0, Verdict::Ok);
        assert_eq!(evaluated(&refusing(&["nf_tables"])).outcome("packet filter").0, Verdict::Missing);
        let legacy = Observed { files: ["/proc/net/ip_tables_names"].into(), ..refusing(&["nf_tables"]) };
        assert_eq!(evaluated(&legacy).outcome("packet filter").0, Verdict::Ok);
    }

    #[test]
    fn links_are_named_with_their_module() {
        let hint = "load the module on the host: modprobe veth";
        assert_eq!(evaluated(&refusing(&["veth"])).outcome("veth"), (Verdict::Missing, hint));
    }

    #[test]
    fn controllers_of_both_versions() {
        let old = |text: &str| Observed { cgroups: proc::parse_cgroups(text), ..Observed::default() };
        let all = "4:memory:/\n3:cpu,cpuacct:/\n2:pids:/\n1:devices:/\n";
        assert_eq!(evaluated(&old(all)).outcome("cgroup controllers").0, Verdict::Ok);
        let found = evaluated(&old("3:cpu,cpuacct:/\n2:pids:/\n1:devices:/\n"));
        let hint = "mount them on the host, or boot it with cgroup_enable=memory";
        assert_eq!(found.outcome("cgroup controllers"), (Verdict::Degraded, hint));
        let unified = |text: &str| Observed {
            cgroups: proc::parse_cgroups("0::/\n"),
            controllers: Some(text.to_owned()),
            ..Observed::default()
        };
        assert_eq!(
            evaluated(&unified("cpuset cpu io memory pids\n")).outcome("cgroup controllers").0,
            Verdict::Ok
        );
        assert_eq!(evaluated(&unified("cpu io pids\n")).outcome("cgroup controllers").0, Verdict::Degraded);
    }
}
