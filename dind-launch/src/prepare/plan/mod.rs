//! From facts to steps, without touching anything: `cgroup1` and `cgroup2` for the cgroups, `mounts` for the rest.
//!
//! The plan has two parts, [`namespace`] and [`container`], because the first changes what is seen: a cgroup namespace of our
//! own shows other roots of mounts, and may be refused. So the facts are read again in between. `dind-launch plan` cannot do
//! that, and plans the second part with the facts as they are expected to be ([`Facts::predict_unshare`]).

mod cgroup1;
mod cgroup2;
mod mounts;

use super::Wanted;
use super::facts::{Caller, Facts};
use super::report::Prepared;
use super::step::{Change, Optional, PrepareStep};
use dind_contract::Warning;
use std::path::{Path, PathBuf};

/// What becomes of a node that stays in the host's cgroup namespace.
const NAMESPACE_HOST: Optional = Optional {
    code: "cgroup-namespace-host",
    hint: "run the container with --cgroupns=private; otherwise the node's limits may not hold for inner containers",
};

/// What is to be done, and what is known of its outcome.
#[derive(Debug)]
pub(super) struct Plan {
    pub result: Prepared,
    pub steps: Vec<PrepareStep>,
    pub warnings: Vec<Warning>,
}

/// The first part: a cgroup namespace of our own where we are in the host's.
///
/// That one is Docker's default on cgroup v1, and `--cgroupns=host` on v2. `/proc/self/cgroup` then shows paths of the host,
/// which do not exist in the container; and where the host's own tree is mounted, inner containers end beside the node and
/// outside of its limits (moby#45378). Our children inherit the namespace. A shell script that called us does not: for it, each
/// hierarchy is mounted once more at the place where paths of the host look for it, as kind does ([`alias`]).
///
/// Whoever is in the machine's first PID namespace sees the machine's own mounts, too: nothing of ours to repair.
pub(super) fn namespace(facts: &Facts) -> Option<PrepareStep> {
    let step = PrepareStep { optional: Some(NAMESPACE_HOST), ..PrepareStep::needed(Change::UnshareCgroups) };
    (is_host(facts) && !facts.on_the_machine).then_some(step)
}

/// The second part: everything else.
pub(super) fn container(facts: &Facts, wanted: &Wanted) -> Plan {
    let caller = wanted.caller;
    let mut plan =
        if facts.unified.is_some() { cgroup2::plan(facts, caller) } else { cgroup1::plan(facts, caller) };
    plan.steps.extend(mounts::plan(facts, wanted));
    plan.steps.extend(oom_score(facts, caller));
    plan.warnings.extend(mounts::warning(facts, wanted));
    if is_host(facts) && facts.on_the_machine {
        let message = "the node stays in the host's cgroup namespace: this is not a container";
        plan.warnings.push(Warning::new(NAMESPACE_HOST.code, message, NAMESPACE_HOST.hint));
    }
    plan
}

/// A kubelet raises the score of pods whose limits are not what they request. dockerd starts inner containers with 0, whatever its own is
/// (moby, daemon/oci_linux.go): with the raised score, the kernel would end the engine in the place of the container that needs
/// too much.
fn oom_score(facts: &Facts, caller: Caller) -> Option<PrepareStep> {
    let change = Change::LowerOomScore { caller, from: facts.oom_score };
    let hint = "give the container CAP_SYS_RESOURCE; on Kubernetes, or requests that equal the limits, of memory and of processors";
    (facts.oom_score > 0).then(|| PrepareStep::optional(change, "oom-score-high", hint))
}

/// Whether we are in the host's cgroup namespace.
fn is_host(facts: &Facts) -> bool {
    let is_ours = if facts.unified.is_some() { cgroup2::is_ours(facts) } else { cgroup1::is_ours(facts) };
    !is_ours && !facts.own_namespace
}

/// For a caller that is still in the host's cgroup namespace, a hierarchy's second mount: below itself, where the path of the
/// caller's cgroup leads.
fn alias(facts: &Facts, caller: Caller, hierarchy: &Path, host_path: &str) -> Option<PrepareStep> {
    if caller == Caller::Launcher || matches!(host_path, "" | "/") {
        return None;
    }
    let alias = PathBuf::from(format!("{}{host_path}", hierarchy.display()));
    let is_there = facts.mounts.iter().any(|mount| mount.point == alias);
    let change = Change::AliasCgroup { hierarchy: hierarchy.to_owned(), alias };
    Some(PrepareStep::needed(change).unless(is_there))
}

#[cfg(test)]
mod tests {
    use super::super::tmp::Tmp;
    use super::*;
    use dind_contract::step::Step;
    use dind_system::proc::{parse_cgroups, parse_mounts};

    const TREE: &str =
        "1 0 0:1 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n9 0 0:9 / / rw shared:1 - overlay overlay rw\n";

    fn wanted(caller: Caller) -> Wanted {
        Wanted { caller, tmp: Tmp::Tmpfs("1g".to_owned()), data_root: "/var/lib/docker".into() }
    }

    fn facts(mounts: &str, cgroups: &str) -> Facts {
        let mounts = parse_mounts(&format!("{TREE}{mounts}"));
        Facts { mounts, cgroups: parse_cgroups(cgroups), tmp_is_empty: true, ..Facts::default() }
    }

    fn steps(plan: &Plan) -> Vec<String> {
        let line = |step: &PrepareStep| {
            format!("{} {}{}", step.op(), step.target(), if step.holds() { " holds" } else { "" })
        };
        plan.steps.iter().map(line).collect()
    }

    #[test]
    fn a_script_finds_its_cgroup_by_the_host_s_path() {
        let pids = "2 1 0:2 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let first = facts(pids, "1:pids:/docker/abc\n").predict_unshare();
        assert_eq!(
            steps(&container(&first, &wanted(Caller::Shell))),
            ["alias-cgroup /sys/fs/cgroup/pids/docker/abc", "mount-tmpfs /tmp"]
        );
        assert_eq!(steps(&container(&first, &wanted(Caller::Launcher))), ["mount-tmpfs /tmp"]);
        let again = format!(
            "{pids}3 2 0:2 /docker/abc /sys/fs/cgroup/pids/docker/abc rw - cgroup cgroup rw,pids\n\
             4 0 0:3 / /tmp rw - tmpfs tmpfs rw\n"
        );
        let second = facts(&again, "1:pids:/docker/abc\n").predict_unshare();
        assert_eq!(
            steps(&container(&second, &wanted(Caller::Shell))),
            ["alias-cgroup /sys/fs/cgroup/pids/docker/abc holds"]
        );
    }

    #[test]
    fn a_container_without_cgroups_gets_all_of_them() {
        let bare = Facts { mounts: Vec::new(), ..facts("", "2:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n") };
        let plan = container(&bare, &wanted(Caller::Launcher));
        assert_eq!(
            steps(&plan),
            [
                "mount-tmpfs /sys/fs/cgroup",
                "mount-cgroup /sys/fs/cgroup/cpu,cpuacct",
                "link-cgroup /sys/fs/cgroup/cpuacct,cpu",
                "link-cgroup /sys/fs/cgroup/cpu",
                "link-cgroup /sys/fs/cgroup/cpuacct",
                "mount-cgroup /sys/fs/cgroup/systemd",
                "link-cgroup /sys/fs/cgroup/name=systemd",
                "mount-tmpfs /tmp",
                "share-mounts /",
            ]
        );
        assert_eq!(plan.result.cgroup_namespace, "private");
        assert_eq!(plan.warnings[0].code, "cgroup-devices-missing");
    }

    #[test]
    fn the_engine_is_no_likelier_to_be_ended_than_its_containers() {
        let with = |oom_score| {
            let facts = Facts { oom_score, ..facts("", "") };
            steps(&container(&facts, &wanted(Caller::Launcher)))
        };
        assert!(with(980).contains(&"lower-oom-score oom_score_adj 980 to 0".to_owned()), "{:?}", with(980));
        for score in [0, -997] {
            assert!(with(score).iter().all(|step| !step.contains("oom")), "{:?}", with(score));
        }
    }

    #[test]
    fn without_a_namespace_of_its_own_a_node_uses_what_it_sees() {
        let devices = "2 1 0:2 / /sys/fs/cgroup/devices ro - cgroup cgroup rw,devices\n";
        let container_facts = facts(devices, "1:devices:/docker/abc\n");
        assert!(namespace(&container_facts).is_some());
        let refused = container(&container_facts, &wanted(Caller::Launcher));
        assert_eq!(refused.result.cgroup_namespace, "host");
        assert_eq!(steps(&refused), ["remount-writable /sys/fs/cgroup/devices", "mount-tmpfs /tmp"]);
        assert!(refused.warnings.is_empty(), "the failed step is the warning");

        let machine = Facts { on_the_machine: true, ..container_facts };
        assert!(namespace(&machine).is_none());
        let codes: Vec<_> = container(&machine, &wanted(Caller::Launcher)).warnings;
        assert_eq!(codes[0].code, "cgroup-namespace-host");
    }
}
