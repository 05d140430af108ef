//! What the caller may do.

use crate::fault;
use dind_contract::Fault;
use dind_system::{Root, proc};

/// CAP_SYS_RESOURCE (linux/capability.h).
const SYS_RESOURCE: u32 = 24;

/// Checks that the caller is root with `CAP_SYS_ADMIN`, on the machine itself.
///
/// # Errors
/// Names what is missing and the flag that gives it.
pub fn check(root: &Root, verb: &str) -> Result<(), Fault> {
    if !root.is_host() {
        let what = format_args!("cannot {verb} with DIND_ROOT");
        let fault = fault::ROOT_IS_FAKE.failed(what, "a captured machine cannot be changed");
        return Err(fault.hint("unset DIND_ROOT, or use `dind-storage plan`"));
    }
    let what = format_args!("cannot {verb}");
    if !nix::unistd::geteuid().is_root() {
        let fault = fault::NOT_ROOT.failed(what, "the caller is not root");
        return Err(fault.hint("run the container with --user 0"));
    }
    if !can_mount(root)? {
        let fault = fault::CAP_SYS_ADMIN_MISSING.failed(what, "CAP_SYS_ADMIN is missing");
        return Err(fault.hint("run the container with --privileged, or with --cap-add SYS_ADMIN"));
    }
    Ok(())
}

/// Whether the caller may mount.
///
/// # Errors
/// /proc/self/status cannot be read.
pub fn can_mount(root: &Root) -> Result<bool, Fault> {
    can(root, proc::CAP_SYS_ADMIN)
}

/// Whether the kernel lets the caller grow a mounted ext4.
///
/// # Errors
/// /proc/self/status cannot be read.
pub fn can_grow_mounted_ext4(root: &Root) -> Result<bool, Fault> {
    can(root, SYS_RESOURCE)
}

fn can(root: &Root, capability: u32) -> Result<bool, Fault> {
    let status = proc::status(root).map_err(|error| {
        fault::FACTS_UNREADABLE
            .cannot("read", "/proc/self/status", error)
            .hint("mount /proc in the container")
    })?;
    Ok(status.can(capability))
}
