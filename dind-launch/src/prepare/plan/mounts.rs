//! The mount tree: securityfs, the network's settings, /tmp, shared propagation. Each is worth having and none is worth
//! failing for.

use super::super::facts::{Facts, SECURITY};
use super::super::mount::PLAIN;
use super::super::step::{Change, Filesystem, PrepareStep};
use super::super::tmp::Tmp;
use super::super::wanted::Wanted;
use dind_contract::Warning;
use dind_system::proc::{mount_at, mount_of};
use nix::mount::MsFlags;
use std::path::Path;

const NETWORK: &str = "/proc/sys/net";

pub(super) fn plan(facts: &Facts, wanted: &Wanted) -> Vec<PrepareStep> {
    let share = share(facts);
    let keep = share.as_ref().and_then(|_| keep_private(facts, wanted));
    [security(facts), network_settings(facts), temporary(facts, wanted), share, keep]
        .into_iter()
        .flatten()
        .collect()
}

/// securityfs, by which an engine learns of AppArmor.
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
    let hint = "inner containers run without AppArmor";
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

/// A tmpfs at /tmp, where it is asked for. Not over files that an image has put there: nobody would see them any more.
fn temporary(facts: &Facts, wanted: &Wanted) -> Option<PrepareStep> {
    let Tmp::Tmpfs(size) = &wanted.tmp else {
        let change = Change::MakeTemporary("/tmp".into());
        let step = || PrepareStep::optional(change, "tmp-not-mounted", "create it in the image");
        return facts.tmp_is_missing.then(step);
    };
    if mount_at(&facts.mounts, "/tmp").is_some() {
        return None;
    }
    let change = Change::Mount {
        filesystem: Filesystem::Tmpfs,
        point: "/tmp".into(),
        flags: MsFlags::MS_NOSUID,
        options: format!("mode=1777,size={size}"),
        over: false,
    };
    let step = PrepareStep::optional(change, "tmp-not-mounted", "mount one with --tmpfs /tmp:exec,dev");
    Some(step.unless(!facts.tmp_is_empty && !facts.tmp_is_missing))
}

/// Why /tmp is not what was asked for, or cannot be used.
pub(super) fn warning(facts: &Facts, wanted: &Wanted) -> Option<Warning> {
    let mounted = mount_at(&facts.mounts, "/tmp");
    let (message, hint) = match (&wanted.tmp, mounted) {
        (Tmp::Tmpfs(_), Some(mount)) if mount.kind != "tmpfs" => (
            format!("/tmp stays as it is: {} is mounted there", mount.kind),
            "leave out DIND_TMP, or the mount",
        ),
        (Tmp::Tmpfs(_), None) if !facts.tmp_is_empty && !facts.tmp_is_missing => (
            "/tmp stays on the disk: the image has files there".to_owned(),
            "mount one with --tmpfs /tmp:exec,dev",
        ),
        (Tmp::Disk, _) if mount_of(&facts.mounts, "/tmp").is_some_and(|mount| !mount.is_writable()) => (
            "/tmp is read-only".to_owned(),
            "with docker run --read-only, add --tmpfs /tmp, or --env DIND_TMP=tmpfs",
        ),
        _ => return None,
    };
    Some(Warning::new("tmp-not-mounted", message, hint))
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

/// The mount that holds the data root stays private where it is: what is mounted on it, a loop image say, is nobody else's. A
/// shared one is what the user has asked for (bind-propagation), and dind-storage warns of it.
fn keep_private(facts: &Facts, wanted: &Wanted) -> Option<PrepareStep> {
    let mount = mount_of(&facts.mounts, &wanted.data_root)?;
    let own = mount.point != Path::new("/") && !mount.shared;
    let hint = "the mounts of the data root may appear in other mount namespaces";
    own.then(|| PrepareStep::optional(Change::KeepPrivate(mount.point.clone()), "mounts-not-shared", hint))
}
