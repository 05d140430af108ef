//! The mount tree: securityfs, the network's settings, /tmp, shared propagation. Each is worth having and none is worth failing for.

use super::{PLAIN, Work, failed};
use dind_contract::{StepState, Warning};
use dind_system::proc::mount_at;
use nix::mount::{MsFlags, mount};
use std::fs;
use std::path::Path;

const SECURITY: &str = "/sys/kernel/security";
const NETWORK: &str = "/proc/sys/net";

/// securityfs, by which an engine learns of AppArmor and the other security modules.
pub(super) fn security(work: &mut Work) {
    if !Path::new(SECURITY).is_dir() || mount_at(&work.mounts, SECURITY).is_some() {
        return;
    }
    if let Err(fault) = work.mount("securityfs", SECURITY, PLAIN, "") {
        work.warn("securityfs-missing", &fault, "the engine runs without AppArmor and its kind");
    }
}

/// The network's settings, which engines switch forwarding on with. Without `--privileged` all of `/proc/sys` is
/// read-only; what is below `net` is the container's own (network_namespaces(7)), and only that is made writable.
pub(super) fn network_settings(work: &mut Work) {
    let read_only = |point: &str| mount_at(&work.mounts, point).map(|mount| mount.read_only);
    if read_only("/proc/sys") != Some(true) || read_only(NETWORK) == Some(false) {
        return;
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    let bound = mount(Some(NETWORK), NETWORK, None::<&str>, flags, None::<&str>)
        .map_err(|error| failed("bind", NETWORK, &error.into()));
    if let Err(fault) = bound.and_then(|()| work.remount_writable(NETWORK)) {
        work.warn("network-settings-read-only", &fault, "docker run --sysctl net.ipv4.ip_forward=1");
    }
}

/// A /tmp that is no overlay: builds that make device nodes or many hard links need it. Not over files that an image
/// has put there: they would be gone from sight.
pub(super) fn temporary(work: &mut Work) {
    if mount_at(&work.mounts, "/tmp").is_some() {
        return;
    }
    let empty = fs::read_dir("/tmp").map(|mut entries| entries.next().is_none());
    if !empty.unwrap_or(false) {
        work.steps.push("mount-tmpfs", "/tmp", StepState::Skipped);
        return;
    }
    let flags = MsFlags::MS_NOSUID;
    if let Err(fault) = work.mount("tmpfs", "/tmp", flags, "mode=1777") {
        work.warn("tmp-not-mounted", &fault, "give one with --tmpfs /tmp:exec,dev");
    }
}

/// Inner containers with `-v a:b:rshared` need a shared parent, and Docker makes the outer's tree private.
/// The new peer group holds this mount namespace's mounts only; nothing spreads to the host.
pub(super) fn share(work: &mut Work) {
    if mount_at(&work.mounts, "/").is_some_and(|mount| mount.shared) {
        return;
    }
    let flags = MsFlags::MS_SHARED | MsFlags::MS_REC;
    match mount(None::<&str>, "/", None::<&str>, flags, None::<&str>) {
        Ok(()) => work.steps.push("share-mounts", "/", StepState::Done),
        Err(error) => {
            let fault = failed("share the mounts below", "/", &error.into());
            let hint = "inner containers cannot use shared or slave volumes";
            work.warnings.push(Warning::new("mounts-not-shared", fault.to_string(), hint));
        }
    }
}
