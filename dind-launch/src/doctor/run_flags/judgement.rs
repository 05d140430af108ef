//! Whether a set works on this machine. Only outside of containers are the machine's capabilities the ones that we have ourselves.

use super::ranges::{PODMAN_USER, has_range};
use super::{Set, Target};
use crate::doctor::capabilities::{ADDED, AUDIT_READ, DEFAULT, name};
use crate::doctor::facts::{Observed, OuterEngine};

/// Whether a set works.
pub(super) struct Judgement {
    /// As the machine is set up now; nothing where that is not known.
    pub(super) works: Option<bool>,
    /// Once it is set up as the set needs it.
    pub(super) possible: Option<bool>,
    /// The reason for `works`.
    pub(super) why: String,
}

impl Judgement {
    fn new(
        works: impl Into<Option<bool>>,
        possible: impl Into<Option<bool>>,
        why: impl Into<String>,
    ) -> Self {
        Self { works: works.into(), possible: possible.into(), why: why.into() }
    }
}

pub(super) fn judge(set: Set, target: Target, observed: &Observed) -> Judgement {
    // podman gives what root has (containers/common, pkg/capabilities).
    if set == Set::Privileged && target == Target::Docker {
        let last = observed.value("/proc/sys/kernel/cap_last_cap").and_then(|text| text.parse().ok());
        let asked = 0..=last.unwrap_or(AUDIT_READ).min(AUDIT_READ);
        return capabilities(observed, asked, "Docker 20.10 asks for it whether root has it or not");
    }
    if set == Set::Rootless {
        let needed = capabilities(observed, DEFAULT.iter().map(|(number, _)| *number), "a node needs it");
        return unshared(observed, needed);
    }
    let all = ADDED.iter().map(|(number, ..)| *number).chain(DEFAULT.iter().map(|(number, _)| *number));
    let needed = capabilities(observed, all, "a node needs it");
    match set {
        Set::Userns => in_user_namespace(target, observed, needed),
        // What this container has, it has in its user namespace.
        _ if observed.in_user_namespace => {
            Judgement::new(None, None, "from a user namespace it is not known what the machine's root has")
        }
        _ => needed,
    }
}

fn in_user_namespace(target: Target, observed: &Observed, needed: Judgement) -> Judgement {
    if observed.in_user_namespace {
        return needed;
    }
    if !observed.on_the_machine {
        return Judgement::new(
            None,
            None,
            "from inside a container it is not known whether the engine maps users",
        );
    }
    if let Some(obstacle) = obstacle(observed) {
        return Judgement::new(false, false, obstacle);
    }
    if needed.works != Some(true) {
        return needed;
    }
    match (target, &observed.outer_engine) {
        (Target::Docker, Some(engine)) => with_engine(engine, observed),
        (Target::Docker, None) => Judgement::new(None, true, "no engine answers `docker info` here"),
        _ if !runs_systemd(observed) => Judgement::new(
            false,
            None,
            "systemd does not run on this machine, and no other cgroup manager gives the node its cgroup",
        ),
        _ if !has_range(observed, PODMAN_USER) => {
            Judgement::new(false, true, "/etc/subuid or /etc/subgid has no range for the user containers")
        }
        _ => Judgement::new(
            true,
            true,
            "this machine has user namespaces, cgroup v2, systemd and a range of users",
        ),
    }
}

/// The launcher makes the user namespace: what counts is whether the machine lets an ordinary process do so.
fn unshared(observed: &Observed, needed: Judgement) -> Judgement {
    if !observed.on_the_machine {
        return Judgement::new(None, None, "from inside a container it is not known what another one may do");
    }
    if let Some(obstacle) = no_user_namespaces(observed) {
        return Judgement::new(false, false, obstacle);
    }
    if needed.works != Some(true) {
        return needed;
    }
    let switches = [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ];
    match switches.into_iter().find(|(path, value, _)| observed.value(path) == Some(*value)) {
        Some((path, _, wanted)) => {
            let why = format!(
                "the machine lets no container make a user namespace ({path}): sysctl --write {wanted}"
            );
            Judgement::new(false, true, why)
        }
        None => Judgement::new(true, true, "this machine lets containers make user namespaces"),
    }
}

/// What no setting of an engine helps against.
fn obstacle(observed: &Observed) -> Option<&'static str> {
    if let Some(none) = no_user_namespaces(observed) {
        return Some(none);
    }
    observed.controllers.is_none().then_some(
        "the machine has cgroup v1, where root of a user namespace can make no groups: boot it with \
         systemd.unified_cgroup_hierarchy=1",
    )
}

fn no_user_namespaces(observed: &Observed) -> Option<&'static str> {
    let none = observed.value("/proc/sys/user/max_user_namespaces") == Some("0");
    (none || !observed.namespaces.iter().any(|kind| kind == "user")).then_some(
        "the machine has no user namespaces, or none are allowed (sysctl user.max_user_namespaces)",
    )
}

fn with_engine(engine: &OuterEngine, observed: &Observed) -> Judgement {
    let OuterEngine { cgroup_driver, maps_users } = engine;
    if cgroup_driver != "systemd" {
        let why = format!(
            "the engine's cgroup driver is {cgroup_driver}, which leaves the node's cgroup to the machine's root{}",
            if runs_systemd(observed) { "" } else { "; systemd does not run on this machine" }
        );
        return Judgement::new(false, runs_systemd(observed), why);
    }
    if !maps_users {
        let why = "the engine does not map users: its daemon.json has no userns-remap";
        return Judgement::new(false, true, why);
    }
    Judgement::new(true, true, "the engine maps users, and its cgroup driver is systemd")
}

fn runs_systemd(observed: &Observed) -> bool {
    // sd_booted(3)
    observed.files.contains("/run/systemd/system")
}

fn capabilities(observed: &Observed, needed: impl Iterator<Item = u32>, reason: &str) -> Judgement {
    let missing: Vec<_> = needed.filter(|number| observed.bounding() >> *number & 1 == 0).map(name).collect();
    if missing.is_empty() {
        let who = if observed.on_the_machine { "this machine's root" } else { "this container" };
        return Judgement::new(true, true, format!("{who} has all required capabilities"));
    }
    let missing = missing.join(", ");
    if observed.on_the_machine {
        let why = format!("this machine's root cannot have {missing}; {reason}");
        return Judgement::new(false, false, why);
    }
    let why = format!(
        "this container does not have {missing}; from inside it is not known whether another one could"
    );
    Judgement::new(None, None, why)
}
