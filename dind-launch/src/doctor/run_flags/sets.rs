//! The sets as flags of `docker run` and `podman run`.

use super::judgement::{self, Judgement};
use super::ranges::{DOCKER_USER, PODMAN_USER, has_range};
use super::{Set, Target};
use crate::doctor::capabilities::{ADDED, NOT_IN_PODMAN, SYS_RESOURCE, WANTED};
use crate::doctor::facts::{NodeArgs, Observed};
use crate::doctor::report::Alternative;
use serde_json::{Value, json};

/// `docker-default` refuses all mounts.
pub(crate) const NO_APPARMOR: &str = "apparmor=unconfined";
/// So do the types that container engines give.
pub(crate) const NO_LABEL: &str = "label=disable";

/// The set, and whether this machine can have it.
pub(super) fn alternative(
    set: Set,
    target: Target,
    observed: &Observed,
    args: &NodeArgs,
    profile_file: &str,
) -> Alternative {
    let Judgement { works, possible, why } = judgement::judge(set, target, observed);
    Alternative {
        name: set.name().to_owned(),
        flags: flags(set, target, observed, args, profile_file),
        works,
        why,
        possible,
        gives: set.gives().to_owned(),
        costs: costs(set, target),
        needs: needs(set, target, observed, profile_file),
        daemon_json: (set == Set::Userns && target == Target::Docker).then(|| daemon_json(observed)),
        manifest: None,
    }
}

fn flags(set: Set, target: Target, observed: &Observed, args: &NodeArgs, profile_file: &str) -> Vec<String> {
    let mut flags: Vec<String> = Vec::new();
    let mut add = |flag: &str, value: &str| flags.extend([flag.to_owned(), value.to_owned()]);
    let mapped = target == Target::Docker && observed.outer_engine.as_ref().is_some_and(|one| one.maps_users);
    match (set, target) {
        // runc leaves the cgroup to the machine's root, because podman mounts it read-only.
        (Set::Userns, Target::Podman) => {
            add("--runtime", "crun");
            add("--userns", "auto");
        }
        // It refuses what is not possible in a user namespace.
        (Set::Reduced | Set::Privileged, _) if mapped => add("--userns", "host"),
        _ => {}
    }
    if set == Set::Privileged {
        flags.push("--privileged".to_owned());
        return flags;
    }
    if set == Set::Rootless {
        add("--env", "DIND_USERNS=unshare");
        add("--security-opt", if target == Target::Podman { "unmask=ALL" } else { "systempaths=unconfined" });
        // Root of a user namespace makes no device nodes.
        if mapped {
            add("--device", "/dev/net/tun");
        }
    } else {
        added(observed).for_each(|name| add("--cap-add", name));
    }
    if target == Target::Podman {
        NOT_IN_PODMAN.iter().for_each(|name| add("--cap-add", name));
    }
    if set == Set::Reduced {
        add("--device", "/dev/loop-control");
        add("--device-cgroup-rule", "b 7:* rwm");
        // /dev/console and /dev/net/tun, which runc lets every inner container have. With v1 no group can have a device that the one above
        // does not, and podman's do not have the first, with crun neither of them; with v2 nobody asks.
        if target == Target::Podman && observed.controllers.is_none() {
            add("--device-cgroup-rule", "c 5:1 rwm");
            add("--device-cgroup-rule", "c 10:200 rwm");
        }
    }
    if args.driver == "fuse-overlayfs" {
        add("--device", "/dev/fuse");
    }
    add("--security-opt", &format!("seccomp={profile_file}"));
    for option in without_module(observed) {
        add("--security-opt", option);
    }
    flags
}

/// The capabilities to add. An engine fails that asks for one that the machine's root cannot have.
pub(super) fn added(observed: &Observed) -> impl Iterator<Item = &'static str> {
    let lacks = |number: u32| observed.on_the_machine && observed.bounding() >> number & 1 == 0;
    let wanted = WANTED.iter().filter(move |(number, ..)| !lacks(*number));
    ADDED.iter().chain(wanted).map(|(_, name, _)| *name)
}

/// What switches the machine's security module off for a container, where it has one.
pub(super) fn without_module(observed: &Observed) -> Vec<&'static str> {
    let apparmor = observed.value("/sys/module/apparmor/parameters/enabled") == Some("Y");
    let selinux = observed.value("/sys/fs/selinux/enforce").is_some();
    [(apparmor, NO_APPARMOR), (selinux, NO_LABEL)]
        .into_iter()
        .filter_map(|(is, option)| is.then_some(option))
        .collect()
}

fn costs(set: Set, target: Target) -> Vec<String> {
    let costs: &[&str] = match (set, target) {
        (Set::Userns, Target::Docker) => &[
            "the engine has another data root from then on: the images and containers of before are out of sight",
            "all containers of the engine are mapped, except those with --userns host",
            "no loop devices: the data root has to be a volume, whose size nothing limits",
            "inner containers: no --privileged, no device nodes",
        ],
        (Set::Userns, _) => &[
            "no loop devices: the data root has to be a volume, whose size nothing limits",
            "inner containers: no --privileged, no device nodes",
        ],
        (Set::Rootless, _) => &[
            "no bridged mode: the node has no link to the outer network; published ports work, and are found within a second or two",
            "root in the node owns no program files: packages are installed in the image, not in the node",
            "a volume is the node's if it is new, and so is what the node writes to; other files of the machine's root can only be read",
            "no loop devices: the data root has to be a volume, whose size nothing limits",
            "inner containers: no --privileged, no device nodes",
            "`docker exec NODE dind-launch enter -- COMMAND` in place of `docker exec NODE COMMAND`",
        ],
        (Set::Reduced, _) => {
            &["inner containers: no --privileged", "root in the node can become the machine's root"]
        }
        (Set::Privileged, _) => &["root in the node is the machine's root"],
    };
    costs.iter().map(|cost| (*cost).to_owned()).collect()
}

fn needs(set: Set, target: Target, observed: &Observed, profile_file: &str) -> Vec<String> {
    let profile = || {
        format!(
            "the seccomp profile in the file `{profile_file}`, where the command is called: \
             `result.seccomp_profile` of this document, or /usr/share/dind/seccomp.json of the image"
        )
    };
    let mut needs = match (set, target) {
        (Set::Userns, Target::Docker) => vec![
            "`daemon_json` merged into the machine's /etc/docker/daemon.json, and a restart of the engine".to_owned(),
            format!(
                "65536 users and groups for {DOCKER_USER} in /etc/subuid and /etc/subgid: {}",
                if has_range(observed, DOCKER_USER) { "they are there" } else { "dockerd adds them, with useradd" }
            ),
            "cgroup v2, and the systemd cgroup driver, which is the default where systemd runs".to_owned(),
            profile(),
        ],
        (Set::Userns, _) => vec![
            format!(
                "a range of users and groups for {PODMAN_USER} in /etc/subuid and /etc/subgid: {}",
                if has_range(observed, PODMAN_USER) {
                    "it is there"
                } else {
                    "missing, add the line containers:2147483647:2147483648 to both, and the user, without whom podman 5 finds \
                     none: useradd --system containers"
                }
            ),
            "cgroup v2, and the systemd cgroup manager, which is the default where systemd runs".to_owned(),
            "not --privileged beside it: with both, podman gives the machine's block devices, which root in the node can \
             read and write. That is no boundary, and `dind-launch run` refuses to start"
                .to_owned(),
            profile(),
        ],
        (Set::Rootless, _) => vec![
            profile(),
            "pasta in the image, from the package passt: Debian 12, Ubuntu 23.04, and newer ones".to_owned(),
            "Linux 5.11 or newer, for overlay in a user namespace; and its module tun".to_owned(),
        ],
        (Set::Reduced, _) => vec![profile(), "/dev/loop-control on the machine: modprobe loop".to_owned()],
        (Set::Privileged, _) => vec!["users of the node who can be trusted with the whole machine".to_owned()],
    };
    if target == Target::Podman {
        needs.extend(of_podman(set, observed).map(str::to_owned));
    }
    needs
}

/// What nodes on podman need.
fn of_podman(set: Set, observed: &Observed) -> impl Iterator<Item = &'static str> {
    let volume = "--volume NAME:/var/lib/docker:exec,suid,dev: podman's volumes have no setuid programs and no device nodes otherwise, and the \
                  volumes of inner containers lie there";
    let limits = "no --ulimit, or both --ulimit nofile=N:N and --ulimit nproc=N:N: podman asks for 1048576 of the one that is missing, and this \
                  machine's root does not have CAP_SYS_RESOURCE to raise its own";
    let cannot_raise = observed.on_the_machine && observed.bounding() >> SYS_RESOURCE & 1 == 0;
    // Root of a user namespace has no device nodes anyway.
    [(set != Set::Userns).then_some(volume), cannot_raise.then_some(limits)].into_iter().flatten()
}

/// What the machine's daemon.json has to have.
fn daemon_json(observed: &Observed) -> Value {
    let other = observed.outer_engine.as_ref().is_some_and(|engine| engine.cgroup_driver != "systemd");
    if other {
        return json!({ "userns-remap": "default", "exec-opts": ["native.cgroupdriver=systemd"] });
    }
    json!({ "userns-remap": "default" })
}
