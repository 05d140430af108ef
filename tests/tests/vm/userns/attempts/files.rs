//! Against files, file systems and keys of the machine and of other containers.

use super::{Attempt, effect, secret};
use crate::userns::machine::{HOME, MARK, read, run, write};

pub(super) const ATTEMPTS: &[Attempt] = &[
    secret("file of the machine's root", "b cat /host/secret"),
    secret("file outside of all mounts, by its number", "/tools/dind-test-attempt read /host,/tools root/escape"),
    effect(
        "mount on the machine",
        "b mount --make-rshared /; b mount --make-rshared /host; b mount -t tmpfs b05e83d17a /host/mnt
        /tools/dind-test-attempt outward mnt mount b05e83d17a /escape/mnt",
        |_| read("/proc/mounts").contains(MARK),
        || run(&["umount", &format!("{HOME}/mnt")]),
    ),
    effect(
        "options of the machine's file system",
        "/tools/dind-test-attempt remount /host errors=remount-ro",
        |_| root_is_mounted_with("errors=remount-ro"),
        || run(&["mount", "-o", "remount,errors=continue", "/"]),
    ),
    secret(
        "another container's volume: read",
        "b cat /proc/[0-9]*/root/other/secret
        /tools/dind-test-attempt read /etc/hosts,/var/lib/docker $(b cat /tools/volume)/secret",
    ),
    effect(
        "another container's volume: write",
        "for root in /proc/[0-9]*/root; do [ ! -e $root/other/file ] || echo b05e83d17a >$root/other/file; done
        /tools/dind-test-attempt write /etc/hosts,/var/lib/docker $(b cat /tools/volume)/file b05e83d17a",
        |_| read(volume_file()) == MARK,
        || write(volume_file(), ""),
    ),
    secret("key of the machine's root", "/tools/dind-test-attempt key-read escape"),
];

/// In the volume of the container beside the nodes.
fn volume_file() -> String {
    format!("/var/lib/docker/{}/file", read(format!("{HOME}/tools/volume")))
}

fn root_is_mounted_with(option: &str) -> bool {
    let mounts = read("/proc/mounts");
    let mut root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    root.any(|fields| fields[1] == "/" && fields[3].split(',').any(|has| has == option))
}
