//! Against the kernel and its settings.

use super::{Attempt, effect, secret};
use crate::userns::machine::{HOME, MARK, began, helper, kernel_log, now, read, run, write};
use std::path::Path;

pub(super) const ATTEMPTS: &[Attempt] = &[
    effect(
        "sysrq",
        "set_kernel proc sysrq-trigger h",
        |_| kernel_log().contains("sysrq: HELP"),
        clear_kernel_log,
    ),
    effect(
        "core_pattern",
        "set_kernel proc sys/kernel/core_pattern b05e83d17a",
        |_| read("/proc/sys/kernel/core_pattern") == MARK,
        || write("/proc/sys/kernel/core_pattern", "core"),
    ),
    effect(
        "sysctl of the memory",
        "set_kernel proc sys/vm/swappiness 7",
        |_| read("/proc/sys/vm/swappiness") == "7",
        || write("/proc/sys/vm/swappiness", "60"),
    ),
    effect(
        "setting in /sys",
        "set_kernel sys block/vda/queue/read_ahead_kb 64",
        |_| read("/sys/block/vda/queue/read_ahead_kb") == "64",
        || write("/sys/block/vda/queue/read_ahead_kb", "128"),
    ),
    effect(
        "debugfs",
        "b mkdir -p /tmp/d; b mount -t debugfs d /tmp/d; echo 65536 >/tmp/d/fault_around_bytes",
        |_| read(format!("{HOME}/debug/fault_around_bytes")) == "65536",
        || write(format!("{HOME}/debug/fault_around_bytes"), "131072"),
    ),
    effect(
        "AppArmor: load a profile",
        "b mkdir -p /tmp/s; b mount -t securityfs s /tmp/s
        for tree in /sys/kernel/security /tmp/s; do b dd if=/tools/profile of=$tree/apparmor/.load bs=1M conv=notrunc; done",
        |_| read("/sys/kernel/security/apparmor/profiles").contains(MARK),
        || write("/sys/kernel/security/apparmor/.remove", MARK),
    ),
    effect(
        "kernel module",
        "b insmod /tools/dummy.ko",
        |_| Path::new("/sys/module/dummy").exists(),
        || run(&["rmmod", "dummy"]),
    ),
    effect(
        "kexec: load another kernel",
        "/tools/dind-test-attempt kexec",
        |_| read("/sys/kernel/kexec_loaded") == "1",
        || drop(helper(&["kexec-unload"])),
    ),
    effect(
        "BPF: leave a program in the kernel",
        "/tools/dind-test-attempt bpf b05e83d17a /tools/busybox sleep 47110815 >/dev/null",
        |_| helper(&["bpf-list"]).contains(MARK),
        super::processes::end_sleepers,
    ),
    effect(
        "clock",
        "b date -s @$(($(b date +%s) + 864000))",
        |_| now() > began() + 800_000,
        set_the_clock_back,
    ),
    effect(
        "/dev/kmsg",
        "b mknod /tmp/kmsg c 1 11; for log in /tmp/kmsg /dev/kmsg; do echo kmsg-b05e83d17a >$log; done",
        // A profile's name is there as well.
        |_| kernel_log().contains(&format!("kmsg-{MARK}")),
        clear_kernel_log,
    ),
    secret("kernel log", "b dmesg"),
    effect(
        "name of the machine",
        "/tools/dind-test-attempt outward uts exec /tools/busybox hostname b05e83d17a",
        |_| read("/proc/sys/kernel/hostname") == MARK,
        || write("/proc/sys/kernel/hostname", "vm"),
    ),
];

fn clear_kernel_log() {
    run(&["dmesg", "--clear"]);
}

/// Where it was moved.
fn set_the_clock_back() {
    if now() > began() + 800_000 {
        run(&["busybox", "date", "-s", &format!("@{}", now() - 864_000)]);
    }
}
