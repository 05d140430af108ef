//! `doctor --run-flags`: the flags of `docker run` that a node needs, as `--privileged` and as the smallest set.

use super::capabilities::{ADDED, AUDIT_READ, DEFAULT, name};
use super::facts::{Observed, StorageArgs};
use super::report::Alternative;
use dind_contract::flags::unquoted;
use serde_json::Value;

/// The file with the seccomp profile unless `--seccomp` names another one, relative to where `docker run` is called.
pub const PROFILE_FILE: &str = "seccomp.json";

/// Docker's default profile, with the calls that inner containers need; see the README for its origin.
const PROFILE: &str = include_str!("../../seccomp.json");

/// `docker-default` refuses all mounts.
pub(super) const NO_APPARMOR: &str = "apparmor=unconfined";
/// So do the types that container engines give.
pub(super) const NO_LABEL: &str = "label=disable";

/// `--privileged`, and then the smallest set.
#[must_use]
pub fn alternatives(observed: &Observed, args: &StorageArgs, profile_file: &str) -> Vec<Alternative> {
    vec![privileged(observed), reduced(observed, args, profile_file)]
}

/// The flags of the first set that works, or of the first that may, each quoted for a shell that reads them again with `eval`.
#[must_use]
pub fn words(alternatives: &[Alternative]) -> Vec<String> {
    let best =
        [Some(true), None].into_iter().find_map(|works| alternatives.iter().find(|one| one.works == works));
    let flags = best.iter().flat_map(|alternative| &alternative.flags);
    let quoted =
        |flag: &String| unquoted(flag.clone()).unwrap_or_else(|_| shell_words::quote(flag).into_owned());
    flags.map(quoted).collect()
}

/// The seccomp profile of the reduced set.
#[must_use]
pub fn profile() -> Value {
    // The file is part of the program; a test reads it.
    serde_json::from_str(PROFILE).unwrap_or_default()
}

fn privileged(observed: &Observed) -> Alternative {
    let last = observed.value("/proc/sys/kernel/cap_last_cap").and_then(|text| text.parse().ok());
    let asked = 0..=last.unwrap_or(AUDIT_READ).min(AUDIT_READ);
    let (works, why) = evaluate(observed, asked, "Docker 20.10 asks for it whether root has it or not");
    Alternative {
        name: "privileged".to_owned(),
        flags: vec!["--privileged".to_owned()],
        works,
        why,
        needs: vec!["users of the node who can be trusted with the whole machine".to_owned()],
    }
}

fn reduced(observed: &Observed, args: &StorageArgs, profile_file: &str) -> Alternative {
    let mut flags: Vec<String> = Vec::new();
    let mut add = |flag: &str, value: &str| flags.extend([flag.to_owned(), value.to_owned()]);
    for (_, name, _) in ADDED {
        add("--cap-add", name);
    }
    add("--device", "/dev/loop-control");
    add("--device-cgroup-rule", "b 7:* rwm");
    if args.driver == "fuse-overlayfs" {
        add("--device", "/dev/fuse");
    }
    add("--security-opt", &format!("seccomp={profile_file}"));
    if observed.value("/sys/module/apparmor/parameters/enabled") == Some("Y") {
        add("--security-opt", NO_APPARMOR);
    }
    if observed.value("/sys/fs/selinux/enforce").is_some() {
        add("--security-opt", NO_LABEL);
    }
    let all = ADDED.iter().map(|(number, ..)| *number).chain(DEFAULT.iter().map(|(number, _)| *number));
    let (works, why) = evaluate(observed, all, "a node needs it");
    let needs = vec![
        format!(
            "the seccomp profile in the file `{profile_file}`, where `docker run` is called: \
             `result.seccomp_profile` of this document, or /usr/share/dind/seccomp.json of the image"
        ),
        "/dev/loop-control on the machine: modprobe loop".to_owned(),
    ];
    Alternative { name: "reduced".to_owned(), flags, works, why, needs }
}

/// Whether an engine here can give these capabilities. Only outside of containers are they the ones that we have ourselves.
fn evaluate(observed: &Observed, needed: impl Iterator<Item = u32>, reason: &str) -> (Option<bool>, String) {
    let missing: Vec<_> = needed.filter(|number| observed.bounding() >> *number & 1 == 0).map(name).collect();
    if missing.is_empty() {
        let who = if observed.on_the_machine { "this machine's root" } else { "this container" };
        return (Some(true), format!("{who} has all required capabilities"));
    }
    let missing = missing.join(", ");
    if observed.on_the_machine {
        return (Some(false), format!("this machine's root cannot have {missing}; {reason}"));
    }
    (
        None,
        format!(
            "this container does not have {missing}; from inside it is not known whether another one could"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc;

    fn machine(bounding: &str) -> Observed {
        let values = [("/proc/sys/kernel/cap_last_cap", "40".to_owned())].into();
        let status = proc::parse_status(&format!("CapBnd:\t{bounding}\n"));
        Observed { status, on_the_machine: true, values, ..Observed::default() }
    }

    fn works(observed: &Observed) -> [Option<bool>; 2] {
        let found = alternatives(observed, &StorageArgs::default(), PROFILE_FILE);
        assert_eq!([found[0].name.as_str(), found[1].name.as_str()], ["privileged", "reduced"]);
        [found[0].works, found[1].works]
    }

    #[test]
    fn the_bounding_set_of_the_machine_decides() {
        assert_eq!(works(&machine("000001ffffffffff")), [Some(true); 2]);
        let missing = machine("000001fffeffffff");
        assert_eq!(works(&missing), [Some(false), Some(true)]);
        let why = &alternatives(&missing, &StorageArgs::default(), PROFILE_FILE)[0].why;
        assert!(why.contains("cannot have CAP_SYS_RESOURCE;"), "{why}");
        assert_eq!(works(&machine("00000000a80425fb")), [Some(false); 2]);
    }

    #[test]
    fn inside_of_a_container_only_what_it_has_is_known() {
        let inside = |bounding| Observed { on_the_machine: false, ..machine(bounding) };
        assert_eq!(works(&inside("00000000a82435fb")), [None, Some(true)]);
        assert_eq!(works(&inside("00000000a80425fb")), [None; 2]);
    }

    #[test]
    fn the_first_that_works_is_printed_for_shells() {
        let printed = |observed: &Observed| {
            words(&alternatives(observed, &StorageArgs::default(), "/tmp/my profile")).join(" ")
        };
        assert_eq!(printed(&machine("000001ffffffffff")), "--privileged");
        assert_eq!(
            printed(&machine("000001fffeffffff")),
            "--cap-add SYS_ADMIN --cap-add NET_ADMIN --device /dev/loop-control \
             --device-cgroup-rule 'b 7:* rwm' --security-opt 'seccomp=/tmp/my profile'"
        );
    }
}
