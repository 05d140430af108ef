//! `doctor --run-flags`: the ways to start a node, the safest first, each with its flags, what it gives and what it costs.
//!
//! `sets` has the flags for Docker and podman, `kubernetes` the same as pods, `judgement` whether this machine can have a set,
//! `ranges` the users that it has for containers.

mod judgement;
mod kubernetes;
mod ranges;
mod sets;

pub(super) use sets::{NO_APPARMOR, NO_LABEL};

use super::facts::{NodeArgs, Observed};
use super::report::Alternative;
use crate::fault;
use dind_contract::Fault;
use dind_contract::flags::unquoted;
use serde_json::Value;

/// The file with the seccomp profile unless `--seccomp` names another one, relative to where `docker run` is called.
pub const PROFILE_FILE: &str = "seccomp.json";

/// Docker's default profile, with the calls that inner containers need; see the README for its origin.
const PROFILE: &str = include_str!("../../../seccomp.json");

/// What starts the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// `docker run`.
    #[default]
    Docker,
    /// `podman run`, by root.
    Podman,
    /// A pod.
    Kubernetes,
}

impl Target {
    /// Reads the name.
    ///
    /// # Errors
    /// [`fault::RUN_FLAGS_FOR_INVALID`].
    pub fn parse(text: Option<&str>) -> Result<Self, Fault> {
        Ok(match text {
            None | Some("docker") => Self::Docker,
            Some("podman") => Self::Podman,
            Some("kubernetes") => Self::Kubernetes,
            Some(other) => {
                let cause = "expected `docker`, `podman` or `kubernetes`";
                let fault = fault::RUN_FLAGS_FOR_INVALID.invalid("DIND_RUN_FLAGS_FOR", other, cause);
                return Err(fault.hint("leave out --for for the flags of `docker run`"));
            }
        })
    }
}

/// A way to run a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// In a user namespace that the engine makes.
    Userns,
    /// In one that the node makes.
    Rootless,
    /// As the machine's root, with the fewest privileges.
    Reduced,
    /// With all of them.
    Privileged,
}

impl Set {
    fn name(self) -> &'static str {
        match self {
            Self::Userns => "userns",
            Self::Rootless => "rootless",
            Self::Reduced => "reduced",
            Self::Privileged => "privileged",
        }
    }

    fn gives(self) -> &'static str {
        match self {
            Self::Userns => {
                "root in the node is an ordinary user of the machine, who cannot change its settings, devices and files"
            }
            Self::Rootless => {
                "no added capability, on an engine as it comes: root in the node is an ordinary user of the machine. Only what \
                 `docker exec` starts outside of the node is the machine's root, with the whole of /proc"
            }
            Self::Reduced => {
                "the machine's modules, its clock and its raw devices are out of reach, but root in the node is the machine's root, \
                 and newer kernels let it mount the machine's disks: hardening, not a security boundary"
            }
            Self::Privileged => "everything works, and root in the node is the machine's root",
        }
    }
}

/// All ways, the safest first.
#[must_use]
pub fn alternatives(
    target: Target,
    observed: &Observed,
    args: &NodeArgs,
    profile_file: &str,
) -> Vec<Alternative> {
    let of = |set: Set| match target {
        Target::Kubernetes => kubernetes::alternative(set, observed, profile_file),
        Target::Docker | Target::Podman => sets::alternative(set, target, observed, args, profile_file),
    };
    [Set::Userns, Set::Rootless, Set::Reduced, Set::Privileged].map(of).into()
}

/// The flags of the first set that works, or of the first that may, each quoted for a shell that reads them again with `eval`.
///
/// # Errors
/// No set has flags: those of Kubernetes are pods.
pub fn words(alternatives: &[Alternative]) -> Result<Vec<String>, String> {
    let with_flags = || alternatives.iter().filter(|one| !one.flags.is_empty());
    if with_flags().next().is_none() {
        return Err("a pod has no flags: leave out --output flags, the document has the manifests".to_owned());
    }
    let best = [Some(true), None].into_iter().find_map(|works| with_flags().find(|one| one.works == works));
    let flags = best.iter().flat_map(|alternative| &alternative.flags);
    let quoted =
        |flag: &String| unquoted(flag.clone()).unwrap_or_else(|_| shell_words::quote(flag).into_owned());
    Ok(flags.map(quoted).collect())
}

/// The seccomp profile of the sets `userns` and `reduced`.
#[must_use]
pub fn profile() -> Value {
    // The file is part of the program; a test reads it.
    serde_json::from_str(PROFILE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::OuterEngine;
    use dind_system::proc;

    /// A machine with cgroup v2, and an engine that maps no users.
    fn machine(bounding: &str) -> Observed {
        let values = [
            ("/proc/sys/kernel/cap_last_cap", "40".to_owned()),
            ("/proc/sys/user/max_user_namespaces", "15000".to_owned()),
        ];
        Observed {
            status: proc::parse_status(&format!("CapBnd:\t{bounding}\n")),
            on_the_machine: true,
            values: values.into(),
            namespaces: vec!["user".to_owned()],
            controllers: Some("cpu memory pids".to_owned()),
            outer_engine: Some(OuterEngine { cgroup_driver: "systemd".to_owned(), maps_users: false }),
            ..Observed::default()
        }
    }

    fn mapping(driver: &str) -> Observed {
        let outer_engine = Some(OuterEngine { cgroup_driver: driver.to_owned(), maps_users: true });
        Observed { outer_engine, ..machine("000001ffffffffff") }
    }

    fn of(observed: &Observed, target: Target) -> Vec<Alternative> {
        let found = alternatives(target, observed, &NodeArgs::default(), PROFILE_FILE);
        let names: Vec<_> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["userns", "rootless", "reduced", "privileged"], "the safest first");
        found
    }

    fn works(observed: &Observed) -> Vec<Option<bool>> {
        of(observed, Target::Docker).iter().map(|one| one.works).collect()
    }

    #[test]
    fn the_bounding_set_of_the_machine_decides() {
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(works(&machine("000001ffffffffff")), [no, yes, yes, yes]);
        let missing = machine("000001fffeffffff");
        assert_eq!(works(&missing), [no, yes, yes, no]);
        let why = &of(&missing, Target::Docker)[3].why;
        assert!(why.contains("cannot have CAP_SYS_RESOURCE;"), "{why}");
        assert_eq!(
            works(&machine("00000000a80425fb")),
            [no, yes, no, no],
            "Docker's default is enough for one"
        );
        let switches = [("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1".to_owned())];
        let restricted = Observed { values: switches.into(), ..machine("00000000a80425fb") };
        let found = of(&restricted, Target::Docker).remove(1);
        assert_eq!((found.works, found.possible), (no, yes), "{found:?}");
        assert!(found.why.contains("sysctl --write"), "{found:?}");
    }

    #[test]
    fn the_engine_decides_on_user_namespaces() {
        let userns = |observed: &Observed| {
            let found = of(observed, Target::Docker).remove(0);
            (found.works, found.possible, found.why)
        };
        let (works, possible, why) = userns(&machine("000001ffffffffff"));
        assert_eq!((works, possible), (Some(false), Some(true)), "{why}");
        assert!(why.contains("does not map users"), "{why}");
        assert_eq!(userns(&mapping("systemd")).0, Some(true));
        let (works, _, why) = userns(&mapping("cgroupfs"));
        assert!(works == Some(false) && why.contains("cgroup driver is cgroupfs"), "{why}");
        let silent = Observed { outer_engine: None, ..mapping("systemd") };
        assert_eq!(userns(&silent).0, None);
        let old = Observed { controllers: None, ..mapping("systemd") };
        let (works, possible, why) = userns(&old);
        assert!((works, possible) == (Some(false), Some(false)) && why.contains("cgroup v1"), "{why}");
        let values = [("/proc/sys/user/max_user_namespaces", "0".to_owned())].into();
        assert_eq!(userns(&Observed { values, ..mapping("systemd") }).1, Some(false));
    }

    #[test]
    fn an_engine_that_maps_users_is_asked_not_to_for_the_other_sets() {
        let found = of(&mapping("systemd"), Target::Docker);
        assert!(!found[0].flags.contains(&"--userns".to_owned()), "{:?}", found[0]);
        for one in &found[2..] {
            assert_eq!(one.flags[..2], ["--userns", "host"], "{one:?}");
        }
    }

    #[test]
    fn inside_of_a_container_only_what_it_has_is_known() {
        let inside = |bounding| Observed { on_the_machine: false, outer_engine: None, ..machine(bounding) };
        assert_eq!(works(&inside("00000000a82c35fb")), [None, None, Some(true), None]);
        assert_eq!(works(&inside("00000000a80425fb")), [None; 4]);
        let mapped = Observed { in_user_namespace: true, ..inside("00000000a82c35fb") };
        assert_eq!(works(&mapped), [Some(true), None, None, None]);
    }

    #[test]
    fn the_safest_that_works_is_printed_for_shells() {
        let printed = |observed: &Observed| {
            let all = alternatives(Target::Docker, observed, &NodeArgs::default(), "/tmp/my profile");
            words(&all).unwrap().join(" ")
        };
        let own = "--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE";
        let profile = "--security-opt 'seccomp=/tmp/my profile'";
        assert_eq!(printed(&mapping("systemd")), format!("{own} {profile}"));
        assert_eq!(
            printed(&machine("000001fffeffffff")),
            format!("--env DIND_USERNS=unshare --security-opt systempaths=unconfined {profile}")
        );
        let values = [("/proc/sys/user/max_user_namespaces", "0".to_owned())].into();
        assert_eq!(
            printed(&Observed { values, ..machine("000001fffeffffff") }),
            format!("{own} --device /dev/loop-control --device-cgroup-rule 'b 7:* rwm' {profile}")
        );
    }

    #[test]
    fn podman_adds_what_it_leaves_out_of_its_default() {
        let flags = of(&mapping("systemd"), Target::Podman)[0].flags.join(" ");
        assert!(flags.starts_with("--runtime crun --userns auto --cap-add SYS_ADMIN"), "{flags}");
        assert!(["MKNOD", "NET_RAW", "AUDIT_WRITE"].iter().all(|name| flags.contains(name)), "{flags}");
    }

    #[test]
    fn podman_gives_what_root_has_and_no_console_on_cgroup_v1() {
        let without = Observed { controllers: None, ..machine("000001fffeffffff") };
        let found = of(&without, Target::Podman);
        assert_eq!(found[3].works, Some(true), "{:?}", found[3]);
        for rule in ["c 5:1 rwm", "c 10:200 rwm"] {
            assert!(found[2].flags.contains(&rule.to_owned()), "{:?}", found[2]);
        }
        assert!(found[3].needs.iter().any(|need| need.starts_with("no --ulimit")), "{:?}", found[3]);
        let with = of(&machine("000001ffffffffff"), Target::Podman);
        assert!(!with[2].flags.contains(&"c 5:1 rwm".to_owned()), "{:?}", with[2]);
        assert!(!with[3].needs.iter().any(|need| need.starts_with("no --ulimit")), "{:?}", with[3]);
        assert!(!of(&without, Target::Docker)[3].needs.iter().any(|need| need.contains("--ulimit")));
    }

    #[test]
    fn a_pod_is_text_and_not_flags() {
        let pods = of(&machine("000001ffffffffff"), Target::Kubernetes);
        assert!(words(&pods).is_err());
        let manifest = |number: usize| pods[number].manifest.as_deref().unwrap();
        assert!(manifest(0).contains("hostUsers: false") && manifest(0).contains("kind: RuntimeClass"));
        assert!(manifest(1).contains("procMount: Unmasked") && !manifest(1).contains("capabilities"));
        assert!(!manifest(2).contains("hostUsers") && manifest(2).contains("localhostProfile: seccomp.json"));
        assert!(manifest(3).contains("privileged: true"));
    }
}
