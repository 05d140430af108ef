//! Checks user, capabilities, and the filters that stand between them and the kernel.

use crate::doctor::capabilities::{ADDED, DEFAULT};
use crate::doctor::facts::Observed;
use crate::doctor::facts::probe;
use crate::doctor::report::Checks;
use crate::doctor::run_flags;
use dind_system::proc::{CAP_SYS_ADMIN, outer_root};

/// Calls that every inner container needs to start. All but the first also need `CAP_SYS_ADMIN`: without it, Docker's profile
/// and the kernel refuse them for that reason alone.
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
    match (observed.in_user_namespace, outer_root(&observed.uid_map)) {
        (false, _) => checks.ok("user namespace", "the machine's own"),
        (true, Some(user)) => {
            checks.ok("user namespace", format!("its own: root here is user {user} of the machine"));
        }
        (true, None) => checks.ok("user namespace", "its own"),
    }
    match observed.status.no_new_privs {
        false => checks.ok("no_new_privs", "not set"),
        true => checks.degraded(
            "no_new_privs",
            "no_new_privs is set: sudo and other setuid programs do not work in inner containers",
            "leave out --security-opt no-new-privileges",
        ),
    }
}

fn capabilities(observed: &Observed, checks: &mut Checks) {
    let inner = "inner containers, which get it unless they drop it";
    let all = ADDED.iter().copied().chain(DEFAULT.iter().map(|(number, name)| (*number, *name, inner)));
    for (number, name, purpose) in all {
        let check = format!("CAP_{name}");
        if observed.may_hold(number) {
            checks.ok(&check, format!("present, for {purpose}"));
        } else {
            let found = format!("CAP_{name} is missing, which is needed for {purpose}");
            checks.missing(&check, found, &format!("--privileged, or --cap-add {name}"));
        }
    }
}

fn seccomp(observed: &Observed, checks: &mut Checks) {
    let hint = format!(
        "--privileged, or --security-opt seccomp={} with the profile of `dind-launch doctor --run-flags`",
        run_flags::PROFILE_FILE
    );
    // Where the capability is missing, another check says so, and the calls that depend on it add nothing.
    let count = if observed.status.can(CAP_SYS_ADMIN) { NEEDED_CALLS.len() } else { 1 };
    let refused = |calls: &[&'static str]| -> Vec<_> {
        calls.iter().copied().filter(|call| observed.refuses(call)).collect()
    };
    let (needed, other) = (refused(&NEEDED_CALLS[..count]), refused(OTHER_CALLS));
    if !needed.is_empty() {
        let calls = [needed, other].concat().join(", ");
        checks.missing(
            "seccomp",
            format!("a seccomp filter refuses {calls}: inner containers cannot start"),
            &hint,
        );
    } else if !other.is_empty() {
        let calls = other.join(", ");
        checks.degraded(
            "seccomp",
            format!(
                "a seccomp filter refuses {calls}: programs in inner containers that use kernel keyrings fail"
            ),
            &hint,
        );
    } else {
        checks.ok(
            "seccomp",
            if observed.status.seccomp_filter {
                "a filter that allows what a node needs"
            } else {
                "no filter"
            },
        );
    }
}

/// AppArmor and SELinux, which restrict even a process with all capabilities. `docker-default` refuses all mounts.
pub(super) fn policy(observed: &Observed, checks: &mut Checks) {
    let name = "security module";
    let confinement = if observed.confinement.is_empty() { "none" } else { &observed.confinement };
    if !observed.refuses(probe::MOUNT_BY_POLICY) {
        return checks.ok(name, confinement);
    }
    let option = if observed.has_selinux_label() { run_flags::NO_LABEL } else { run_flags::NO_APPARMOR };
    let found = format!("the security module refuses mounts (`{confinement}`)");
    checks.missing(name, found, &format!("--security-opt {option}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;
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
    fn the_reduced_set_is_complete() {
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
            let hint = format!("--privileged, or --cap-add {name}");
            assert_eq!(checks.outcome(&format!("CAP_{name}")), (Verdict::Missing, hint.as_str()));
        }
    }

    #[test]
    fn calls_of_the_engine_are_needed_and_calls_of_programs_are_not() {
        assert_eq!(evaluated(&refusing(&["pivot_root", "add_key"])).outcome("seccomp").0, Verdict::Missing);
        assert_eq!(evaluated(&refusing(&["add_key", "request_key"])).outcome("seccomp").0, Verdict::Degraded);
        let observed = Observed { status: root_with(0xa804_25fb), ..refusing(&["mount", "pivot_root"]) };
        assert_eq!(
            evaluated(&observed).outcome("seccomp").0,
            Verdict::Ok,
            "the capability is what is missing"
        );
    }

    #[test]
    fn the_hint_of_a_policy_is_that_of_its_module() {
        for (confinement, option) in [
            ("docker-default (enforce)", "apparmor=unconfined"),
            ("system_u:system_r:container_t:s0:c1,c2", "label=disable"),
        ] {
            let observed = Observed { confinement: confinement.to_owned(), ..refusing(&["mount-by-policy"]) };
            let hint = format!("--security-opt {option}");
            assert_eq!(evaluated(&observed).outcome("security module"), (Verdict::Missing, hint.as_str()));
        }
    }

    #[test]
    fn other_users_are_told_apart_from_root() {
        let status = Status { euid: Some(1000), no_new_privs: true, ..root_with(0xa824_35fb) };
        let user = Observed { status, ..reduced() };
        assert_eq!(evaluated(&user).outcome("user"), (Verdict::Missing, "--user 0"));
        assert_eq!(evaluated(&user).outcome("no_new_privs").0, Verdict::Degraded);
        let uid_map = "0 100000 65536\n".to_owned();
        let mapped = evaluated(&Observed { in_user_namespace: true, uid_map, ..reduced() }).examination();
        let check = mapped.checks.iter().find(|check| check.name == "user namespace").unwrap();
        assert_eq!(
            (check.verdict, check.found.as_str()),
            (Verdict::Ok, "its own: root here is user 100000 of the machine")
        );
    }
}
