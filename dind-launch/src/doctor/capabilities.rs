//! The capabilities that a node needs, by their numbers in linux/capability.h, and the names of all.

use dind_system::proc::CAP_SYS_ADMIN;

/// Device nodes.
pub(super) const MKNOD: u32 = 27;

/// Looking into the processes of other users.
pub(super) const SYS_PTRACE: u32 = 19;

/// Raising limits of one's own.
pub(super) const SYS_RESOURCE: u32 = 24;

/// The last capability that Docker 20.10 knows, and asks for on every machine. Newer engines ask for those that root has.
pub(super) const AUDIT_READ: u32 = 37;

/// What a node adds to the capabilities that Docker gives (capabilities(7); the numbers are linux/capability.h's).
pub(super) const ADDED: &[(u32, &str, &str)] = &[
    (CAP_SYS_ADMIN, "SYS_ADMIN", "mounts and cgroups"),
    (12, "NET_ADMIN", "bridges, addresses and iptables"),
];

/// What a node adds where it can: engines from [`OPENS_NAMESPACES`] on need it for some inner containers.
pub(super) const WANTED: &[(u32, &str, &str)] =
    &[(SYS_PTRACE, "SYS_PTRACE", "inner containers of another user than root")];

/// The first engine that opens `/proc/PID/ns/net` of a container's process, which the kernel allows for another user's process by
/// this capability only (ptrace(2), "Ptrace access mode checking").
pub(super) const OPENS_NAMESPACES: u32 = 28;

/// Of [`DEFAULT`], what podman leaves out of its own (containers.conf(5), `default_capabilities`).
pub(super) const NOT_IN_PODMAN: &[&str] = &["MKNOD", "NET_RAW", "AUDIT_WRITE"];

/// What Docker gives every container, and an inner one gets, too: runc refuses to start a process with a
/// capability that it does not have itself (moby, oci/caps/defaults.go).
pub(super) const DEFAULT: &[(u32, &str)] = &[
    (0, "CHOWN"),
    (1, "DAC_OVERRIDE"),
    (3, "FOWNER"),
    (4, "FSETID"),
    (5, "KILL"),
    (6, "SETGID"),
    (7, "SETUID"),
    (8, "SETPCAP"),
    (10, "NET_BIND_SERVICE"),
    (13, "NET_RAW"),
    (18, "SYS_CHROOT"),
    (MKNOD, "MKNOD"),
    (29, "AUDIT_WRITE"),
    (31, "SETFCAP"),
];

/// By number (linux/capability.h).
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// The name of a capability.
pub(super) fn name(capability: u32) -> String {
    let name = CAPABILITIES.split_whitespace().nth(capability as usize);
    name.map_or_else(|| format!("capability {capability}"), |name| format!("CAP_{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_by_number_is_named_right() {
        assert_eq!(CAPABILITIES.split_whitespace().count(), 41);
        let added = ADDED.iter().chain(WANTED).map(|(a, b, _)| (a, b));
        for (number, known) in added.chain(DEFAULT.iter().map(|(a, b)| (a, b))) {
            assert_eq!(name(*number), format!("CAP_{known}"));
        }
        assert_eq!(
            (name(24), name(40), name(41)),
            ("CAP_SYS_RESOURCE".into(), "CAP_CHECKPOINT_RESTORE".into(), "capability 41".into())
        );
    }
}
