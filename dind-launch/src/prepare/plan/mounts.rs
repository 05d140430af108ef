//! The mount tree: securityfs, the network's settings, /tmp, shared propagation. Each is worth having and none is worth
//! failing for.

use super::super::facts::{Facts, SECURITY};
use super::super::mount::PLAIN;
use super::super::step::{Change, Filesystem, PrepareStep};
use dind_system::proc::mount_at;
use nix::mount::MsFlags;

const NETWORK: &str = "/proc/sys/net";

pub(super) fn plan(facts: &Facts) -> Vec<PrepareStep> {
    [security(facts), network_settings(facts), temporary(facts), share(facts)].into_iter().flatten().collect()
}

/// securityfs, by which an engine learns of AppArmor and the other security modules.
fn security(facts: &Facts) -> Option<PrepareStep> {
    if !facts.has_security || mount_at(&facts.mounts, SECURITY).is_some() {
        return None;
    }
    let change = Change::Mount {
        filesystem: Filesystem::Securityfs,
        point: SECURITY.into(),
        flags: PLAIN,
        options: String::new(),
        over: false,
    };
    let hint = "the engine runs without AppArmor and the other security modules";
    Some(PrepareStep::optional(change, "securityfs-missing", hint))
}

/// The network's settings, which engines switch forwarding on with. Without `--privileged` all of `/proc/sys` is
/// read-only; what is below `net` is the container's own (network_namespaces(7)), and only that is made writable.
fn network_settings(facts: &Facts) -> Option<PrepareStep> {
    let read_only = |point| mount_at(&facts.mounts, point).map(|mount| mount.read_only);
    if read_only("/proc/sys") != Some(true) || read_only(NETWORK) == Some(false) {
        return None;
    }
    let hint = "docker run --sysctl net.ipv4.ip_forward=1";
    Some(PrepareStep::optional(Change::BindWritable(NETWORK.into()), "network-settings-read-only", hint))
}

/// A /tmp that does not lie on an overlay: builds that make device nodes or many hard links need it. Not over files that an
/// image has put there: nobody would see them any more.
fn temporary(facts: &Facts) -> Option<PrepareStep> {
    if mount_at(&facts.mounts, "/tmp").is_some() {
        return None;
    }
    let change = Change::Mount {
        filesystem: Filesystem::Tmpfs,
        point: "/tmp".into(),
        flags: MsFlags::MS_NOSUID,
        options: "mode=1777".to_owned(),
        over: false,
    };
    let step = PrepareStep::optional(change, "tmp-not-mounted", "mount one with --tmpfs /tmp:exec,dev");
    Some(step.unless(!facts.tmp_is_empty))
}

/// Inner containers with `-v a:b:rshared` need a shared parent, and Docker makes the outer's tree private.
/// The new peer group holds this mount namespace's mounts only; nothing spreads to the host.
fn share(facts: &Facts) -> Option<PrepareStep> {
    if mount_at(&facts.mounts, "/").is_some_and(|mount| mount.shared) {
        return None;
    }
    let hint = "inner containers cannot use shared or slave volumes";
    Some(PrepareStep::optional(Change::ShareMounts, "mounts-not-shared", hint))
}
