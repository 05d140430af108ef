//! Flags of the mount that holds the data root, where it is used as it is. A loop image has a mount of its own.
//!
//! overlay has its own mount for each container, which these flags do not reach. Volumes are bind mounts, and inherit them; so
//! does a container's root where the driver keeps it as a plain directory.

use crate::facts::Facts;
use crate::fault;
use crate::report::Driver;
use dind_contract::Warning;

/// What a flag does to inner containers.
const EFFECTS: [(&str, &str); 4] = [
    ("noexec", "programs in volumes cannot be executed"),
    ("nosuid", "setuid programs in volumes have no effect"),
    ("nodev", "device nodes in volumes cannot be used"),
    ("sync", "every write waits for the disk"),
];

/// Why a driver cannot use such a mount at all.
#[must_use]
pub fn obstacle(driver: Driver, facts: &Facts) -> Option<String> {
    let mount = &facts.data_root.mount;
    if !mount.is_writable() {
        return Some(format!("{} is mounted read-only", mount.point.display()));
    }
    let plain_directory = matches!(driver, Driver::Vfs | Driver::Btrfs);
    (plain_directory && has(facts, "noexec")).then(|| {
        format!("{} is mounted with noexec, and {driver} runs containers from there", mount.point.display())
    })
}

/// What else it does.
#[must_use]
pub fn warning(facts: &Facts) -> Option<Warning> {
    let found: Vec<_> = EFFECTS.into_iter().filter(|(flag, _)| has(facts, flag)).collect();
    if found.is_empty() {
        return None;
    }
    let list = |words: Vec<&str>| words.join(", ");
    let flags = list(found.iter().map(|(flag, _)| *flag).collect());
    let effects = list(found.iter().map(|(_, effect)| *effect).collect());
    let point = facts.data_root.mount.point.display();
    Some(Warning::new(
        fault::MOUNT_FLAGS,
        format!("{point} is mounted with {flags}: {effects}"),
        "mount it without them; podman's volumes need the opposite spelled out: --volume NAME:DIR:exec,suid,dev; a tmpfs of docker run, too: --tmpfs DIR:exec,suid,dev",
    ))
}

/// `sync` may be an option of the mount or of the file system.
fn has(facts: &Facts, flag: &str) -> bool {
    let mount = &facts.data_root.mount;
    mount.flags.iter().chain(&mount.options).any(|have| have == flag)
}
