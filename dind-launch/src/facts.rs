//! What the launcher sees of its container.

use crate::fault;
use dind_contract::{Fault, Root};

/// The effective capability set, as a bit mask.
///
/// # Errors
/// `/proc/self/status` cannot be read.
pub fn capabilities(root: &Root) -> Result<u64, Fault> {
    let file = "/proc/self/status";
    let read = root.read(file).map_err(|error| error.to_string());
    let mask = read.and_then(|text| effective(&text).ok_or_else(|| "it has no CapEff line".to_owned()));
    mask.map_err(|cause| fault::INIT_FAILED.cannot("read", file, cause).hint("mount /proc"))
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Whether the mask holds a capability.
#[must_use]
pub fn has(mask: u64, capability: u8) -> bool {
    mask >> capability & 1 == 1
}

/// Refuses early what would fail late, and half-done.
///
/// # Errors
/// Not root, or no `CAP_SYS_ADMIN`.
pub fn privileged(root: &Root) -> Result<(), Fault> {
    if !nix::unistd::geteuid().is_root() {
        let fault = fault::NOT_ROOT.cannot("prepare", "the container", "the caller is not root");
        return Err(fault.hint("run the container with --user 0"));
    }
    if !has(capabilities(root)?, 21) {
        let fault =
            fault::CAP_SYS_ADMIN_MISSING.cannot("prepare", "the container", "CAP_SYS_ADMIN is missing");
        return Err(
            fault.hint("run the container with --privileged; `dind-launch doctor` names all that is missing")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set() {
        let mask = effective("Name:\tx\nCapEff:\t00000000a82435fb\n").unwrap();
        assert!(has(mask, 21) && has(mask, 12) && !has(mask, 24));
        assert_eq!(effective("CapEff: x"), None);
    }
}
