//! Whether the engine in the node uses AppArmor.
//!
//! Profiles are the machine's: its kernel has one list of them, which a node shares with the engine outside and with other nodes. An
//! engine that sees AppArmor gives its containers [`PROFILE`]. Where the list does not have it, the engine loads its own, for the
//! whole machine and beyond the node's end; without the capability for that, no container starts. Neither does one where the engine is
//! confined itself, because a confined process chooses no other profile (apparmor.d(5), `change_profile`). So an engine sees
//! AppArmor only where it can give the profile that is there already.

use dind_system::{Root, proc};
use std::fs;

/// What Docker engines call the profile of their containers.
const PROFILE: &str = "docker-default";

/// Whether the engine can give its containers the profile, and needs to load none. Not in a user namespace, where engines do not
/// see securityfs.
pub(crate) fn engine_may_confine(root: &Root) -> bool {
    let label = root.read("/proc/self/attr/current").unwrap_or_default();
    if label.trim_matches(['\0', '\n']) != "unconfined" || proc::in_user_namespace(root) {
        return false;
    }
    if root.is_host() {
        // The kernel answers whether it would change the profile, and does not (AA_CHANGE_TEST, security/apparmor/domain.c). The file
        // is the calling thread's.
        return fs::write("/proc/thread-self/attr/current", format!("permprofile {PROFILE}")).is_ok();
    }
    let profiles = root.read("/sys/kernel/security/apparmor/profiles").unwrap_or_default();
    profiles.lines().any(|line| line.starts_with(&format!("{PROFILE} (")))
}
