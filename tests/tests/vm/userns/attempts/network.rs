//! Against the machine's network, and that of other containers.

use super::{Attempt, effect, secret};
use crate::userns::machine::{MARK, read, run};
use std::path::Path;

pub(super) const ATTEMPTS: &[Attempt] = &[
    secret(
        "the machine's network: see its links",
        "/tools/dind-test-attempt outward net exec /tools/busybox cat /proc/net/dev",
    ),
    effect(
        "the machine's network: add a link",
        "/tools/dind-test-attempt outward net exec /tools/busybox ip link add b05e83d17a type bridge",
        |_| Path::new("/sys/class/net").join(MARK).exists(),
        || run(&["ip", "link", "del", MARK]),
    ),
    effect(
        "the machine's network: sysctl",
        "b mount -o remount,rw,bind /proc/sys
        /tools/dind-test-attempt outward net exec /tools/busybox sh -c 'echo 65 >/proc/sys/net/ipv4/ip_default_ttl'",
        |_| read("/proc/sys/net/ipv4/ip_default_ttl") == "65",
        || run(&["sysctl", "--quiet", "--write", "net.ipv4.ip_default_ttl=64"]),
    ),
    secret("packets of another network's containers", "/tools/dind-test-attempt outward net sniff"),
];
