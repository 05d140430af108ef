//! Checks user, capabilities, and the filters that stand between them and the kernel.

use super::capabilities::{ADDED, DEFAULT, SYS_ADMIN};
use super::facts::Observed;
use super::report::Checks;
use super::{probe, run_flags};

/// Calls without which no inner container starts. Without `CAP_SYS_ADMIN` Docker's profile, and the kernel, refuse
/// those at the end for that reason alone.
const NEEDED_CALLS: &[&str] = &["keyctl", "mount", "umount2", "unshare", "setns", "pivot_root"];

/// Calls that programs in inner containers may want, and that Docker's profile refuses.
const OTHER_CALLS: &[&str] = &["add_key", "request_key"];

pub(super) fn evaluate(observed: &Observed, checks: &mut Checks) {
    match observed.is_root() {
        true => checks.ok("user", "root"),
        false => checks.missing("user", "the caller is not root", "--user 0"),
    }
    capabilities(observed, checks);
    seccomp(observed, checks);
    policy(observed, checks);
    let namespaced =
        !observed.uid_map.is_empty() && !observed.uid_map.split_whitespace().eq(["0", "0", "4294967295"]);
    match namespaced {
        false => checks.ok("user namespace", "the machine's own"),
        true => checks.poor(
            "user namespace",
            "this is root of a user namespace: loop devices and some mounts are out of reach",
            "--userns host",
        ),
    }
    match observed.status.no_new_privs {
        false => checks.ok("no_new_privs", "not set"),
        true => checks.poor(
            "no_new_privs",
            "no_new_privs is set: sudo and its kind do not work in inner containers",
            "leave --security-opt no-new-privileges out",
        ),
    }
}

fn capabilities(observed: &Observed, checks: &mut Checks) {
    let inner = "inner containers, which get it unless they drop it";
    let all = ADDED.iter().copied().chain(DEFAULT.iter().map(|(number, name)| (*number, *name, inner)));
    for (number, name, purpose) in all {
        let check = format!("CAP_{name}");
        if observed.may_hold(number) {
            checks.ok(&check, format!("held, for {purpose}"));
        } else {
            let found = format!("CAP_{name} is missing; it is for {purpose}");
            checks.missing(&check, found, &format!("--privileged, or --cap-add {name}"));
        }
    }
}

fn seccomp(observed: &Observed, checks: &mut Checks) {
    let cure = format!(
        "--security-opt seccomp={} from `dind-launch doctor --run-flags`, or --privileged",
        run_flags::PROFILE_FILE
    );
    // Where the capability is missing, it is named, and the calls that depend on it tell nothing new.
    let told = if observed.status.can(SYS_ADMIN) { NEEDED_CALLS.len() } else { 1 };
    let refused = |calls: &[&'static str]| -> Vec<_> {
        calls.iter().copied().filter(|call| observed.refuses(call)).collect()
    };
    let (needed, other) = (refused(&NEEDED_CALLS[..told]), refused(OTHER_CALLS));
    if !needed.is_empty() {
        let calls = [needed, other].concat().join(", ");
        checks.missing(
            "seccomp",
            format!("a seccomp filter refuses {calls}: no inner container starts"),
            &cure,
        );
    } else if !other.is_empty() {
        let calls = other.join(", ");
        checks.poor(
            "seccomp",
            format!("a seccomp filter refuses {calls}: programs that keep keys fail"),
            &cure,
        );
    } else {
        checks.ok(
            "seccomp",
            if observed.status.seccomp_filter { "a filter that lets a node work" } else { "no filter" },
        );
    }
}

/// AppArmor and SELinux, which confine whatever the capabilities are. `docker-default` refuses all mounts.
fn policy(observed: &Observed, checks: &mut Checks) {
    let name = "security module";
    let confinement = if observed.confinement.is_empty() { "none" } else { &observed.confinement };
    if !observed.refuses(probe::MOUNT_BY_POLICY) {
        return checks.ok(name, confinement);
    }
    // A label of SELinux has fields (`user:role:type:level`), a profile of AppArmor a mode (`name (enforce)`).
    let selinux = confinement.split(':').count() >= 4;
    let option = if selinux { run_flags::NO_LABEL } else { run_flags::NO_APPARMOR };
    let cure = format!("--privileged, or --security-opt {option}");
    checks.missing(name, format!("the security module's `{confinement}` refuses mounts"), &cure);
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use dind_system::proc::Status;

    fn root_with(effective: u64) -> Status {
        Status { euid: Some(0), effective, seccomp_filter: true, ..Status::default() }
    }

    fn reduced() -> Observed {
        Observed {
            status: root_with(0xa824_35fb),
            uid_map: "         0          0 4294967295\n".to_owned(),
            ..Observed::default()
        }
    }

    fn evaluated(observed: &Observed) -> Checks {
        let mut checks = Checks::default();
        evaluate(observed, &mut checks);
        checks
    }

    fn refusing(calls: &[&str]) -> Observed {
        Observed { refused: calls.iter().map(|call| (*call).to_owned()).collect(), ..reduced() }
    }

    #[test]
    fn the_reduced_set_lacks_nothing() {
        let checks = evaluated(&reduced()).examination().checks;
        assert_eq!(checks.iter().filter(|check| check.name.starts_with("CAP_")).count(), 16);
        assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:?}");
    }

    #[test]
    fn each_capability_is_named_with_its_flag() {
        for (number, name) in
            ADDED.iter().map(|(number, name, _)| (number, name)).chain(DEFAULT.iter().map(|(a, b)| (a, b)))
        {
            let observed = Observed { status: root_with(0xa824_35fb & !(1 << number)), ..reduced() };
            let checks = evaluated(&observed);
            let cure = format!("--privileged, or --cap-add {name}");
            assert_eq!(checks.told(&format!("CAP_{name}")), (Verdict::Missing, cure.as_str()));
        }
    }

    #[test]
    fn calls_of_the_engine_are_needed_and_calls_of_programs_are_not() {
        assert_eq!(evaluated(&refusing(&["pivot_root", "add_key"])).told("seccomp").0, Verdict::Missing);
        assert_eq!(evaluated(&refusing(&["add_key", "request_key"])).told("seccomp").0, Verdict::Poor);
        let observed = Observed { status: root_with(0xa804_25fb), ..refusing(&["mount", "pivot_root"]) };
        assert_eq!(evaluated(&observed).told("seccomp").0, Verdict::Ok, "the capability is what is missing");
    }

    #[test]
    fn the_cure_of_a_policy_is_that_of_its_module() {
        for (confinement, option) in [
            ("docker-default (enforce)", "apparmor=unconfined"),
            ("system_u:system_r:container_t:s0:c1,c2", "label=disable"),
        ] {
            let observed = Observed { confinement: confinement.to_owned(), ..refusing(&["mount-by-policy"]) };
            let cure = format!("--privileged, or --security-opt {option}");
            assert_eq!(evaluated(&observed).told("security module"), (Verdict::Missing, cure.as_str()));
        }
    }

    #[test]
    fn others_are_told_from_root() {
        let status = Status { euid: Some(1000), no_new_privs: true, ..root_with(0xa824_35fb) };
        let user = Observed { status, ..reduced() };
        assert_eq!(evaluated(&user).told("user"), (Verdict::Missing, "--user 0"));
        assert_eq!(evaluated(&user).told("no_new_privs").0, Verdict::Poor);
        let mapped = Observed { uid_map: "0 100000 65536\n".to_owned(), ..reduced() };
        assert_eq!(evaluated(&mapped).told("user namespace").0, Verdict::Poor);
    }
}
