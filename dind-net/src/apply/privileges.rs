//! Whether we may change the network at all: asked first, so that nothing is half done.

use crate::fault;
use dind_contract::{Fault, Root};

/// Bits of linux/capability.h.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// Refuses a caller that is not root or lacks `CAP_NET_ADMIN`, and with `raw` also one without `CAP_NET_RAW`.
///
/// # Errors
/// [`fault::NOT_ROOT`], [`fault::CAP_NET_ADMIN_MISSING`], [`fault::CAP_NET_RAW_MISSING`]; all that lack in `causes`.
pub fn check(raw: bool) -> Result<(), Fault> {
    let text = Root::default()
        .read("/proc/self/status")
        .map_err(|error| fault::unreadable("/proc/self/status", error))?;
    lacking(nix::unistd::geteuid().is_root(), effective(&text), raw).map_or(Ok(()), Err)
}

/// The `CapEff` line of proc_pid_status(5).
fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

fn lacking(root: bool, effective: u64, raw: bool) -> Option<Fault> {
    let lacks = |bit: u32| effective & (1 << bit) == 0;
    let mut missing = Vec::new();
    if !root {
        missing.push((fault::NOT_ROOT, "the user is not root", "run it as root"));
    }
    if lacks(CAP_NET_ADMIN) {
        missing.push((
            fault::CAP_NET_ADMIN_MISSING,
            "CAP_NET_ADMIN is missing",
            "start the container with --privileged or --cap-add NET_ADMIN",
        ));
    }
    if raw && lacks(CAP_NET_RAW) {
        missing.push((
            fault::CAP_NET_RAW_MISSING,
            "CAP_NET_RAW is missing",
            "start the container with --privileged or --cap-add NET_RAW",
        ));
    }
    let (code, _, cure) = missing.first()?;
    let words: Vec<_> = missing.iter().map(|(_, words, _)| *words).collect();
    let mut fault = code.cannot("change", "the network", words.join("; ")).hint(*cure);
    fault.causes = missing.iter().map(|(code, _, _)| code.name.to_owned()).collect();
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_lacks_is_told() {
        // The 14 capabilities of a Docker container by default: NET_RAW, but not NET_ADMIN.
        let docker = effective("Name:\tx\nCapEff:\t00000000a80425fb\n");
        let causes = |root, bits, raw| lacking(root, bits, raw).map(|fault| fault.causes.join(" "));
        assert_eq!(causes(true, docker, true).unwrap(), "cap-net-admin-missing");
        assert_eq!(causes(false, 0, true).unwrap(), "not-root cap-net-admin-missing cap-net-raw-missing");
        assert_eq!(causes(true, 1 << CAP_NET_ADMIN, true).unwrap(), "cap-net-raw-missing");
        assert_eq!(causes(true, 1 << CAP_NET_ADMIN, false), None);
    }
}
