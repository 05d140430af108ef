//! Whether we may change the network at all: checked first, so that nothing is half done.

use crate::fault::{self, Cause};
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{self, Status};

/// Numbers of linux/capability.h.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// Refuses a caller that is not root or without `CAP_NET_ADMIN`, and with `raw` also one without `CAP_NET_RAW`.
///
/// # Errors
/// [`fault::NOT_ROOT`], [`fault::CAP_NET_ADMIN_MISSING`], [`fault::CAP_NET_RAW_MISSING`]; all that are missing in `causes`.
pub(crate) fn check(raw: bool) -> Result<(), Fault> {
    missing(&status()?, true, raw).map_or(Ok(()), Err)
}

/// Refuses a caller that may not send ARP.
///
/// # Errors
/// [`fault::NOT_ROOT`], [`fault::CAP_NET_RAW_MISSING`].
pub(crate) fn check_raw() -> Result<(), Fault> {
    missing(&status()?, false, true).map_or(Ok(()), Err)
}

fn status() -> Result<Status, Fault> {
    proc::status(&Root::default()).map_err(|error| fault::unreadable("/proc/self/status", error))
}

fn missing(status: &Status, admin: bool, raw: bool) -> Option<Fault> {
    let causes = [
        (status.euid != Some(0), fault::NOT_ROOT, "the user is not root", "run it as root"),
        (
            admin && !status.can(CAP_NET_ADMIN),
            fault::CAP_NET_ADMIN_MISSING,
            "CAP_NET_ADMIN is missing",
            "start the container with --privileged or --cap-add NET_ADMIN",
        ),
        (
            raw && !status.can(CAP_NET_RAW),
            fault::CAP_NET_RAW_MISSING,
            "CAP_NET_RAW is missing",
            "start the container with --privileged or --cap-add NET_RAW",
        ),
    ];
    let holding = causes.into_iter().filter(|(holds, ..)| *holds);
    let causes: Vec<_> = holding.map(|(_, code, words, hint)| Cause::new(code, words, hint)).collect();
    fault::of_causes(if admin { "cannot change the network" } else { "cannot probe the network" }, &causes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_reported() {
        // The 14 capabilities of a Docker container by default: NET_RAW, but not NET_ADMIN.
        let docker = proc::parse_status("Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n").effective;
        let causes = |root: bool, effective, raw| {
            let status = Status { euid: Some(if root { 0 } else { 1000 }), effective, ..Status::default() };
            missing(&status, true, raw).map(|fault| fault.causes.join(" "))
        };
        assert_eq!(causes(true, docker, true).unwrap(), "cap-net-admin-missing");
        assert_eq!(causes(false, 0, true).unwrap(), "not-root cap-net-admin-missing cap-net-raw-missing");
        assert_eq!(causes(true, 1 << CAP_NET_ADMIN, true).unwrap(), "cap-net-raw-missing");
        assert_eq!(causes(true, 1 << CAP_NET_ADMIN, false), None);
    }
}
