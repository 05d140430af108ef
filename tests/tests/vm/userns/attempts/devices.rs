//! Against the machine's block devices.

use super::{Attempt, effect, secret};
use crate::userns::machine::{DISK, MARK, read, run};
use std::fs::File;
use std::io::Read;

pub(super) const ATTEMPTS: &[Attempt] = &[
    secret(
        "loop device: read",
        "b mknod /tmp/loop b 7 6; for loop in /tmp/loop /dev/loop6; do b dd if=$loop bs=64 count=1; done",
    ),
    secret(
        "disk: read",
        "b mknod /tmp/disk b $(b tr : ' ' </sys/block/vdd/dev); for disk in /tmp/disk /dev/vdd; do b dd if=$disk bs=64 count=1; done",
    ),
    effect(
        "disk: write",
        "b mknod /tmp/disk b $(b tr : ' ' </sys/block/vdd/dev)
        for disk in /tmp/disk /dev/vdd; do
            [ ! -b $disk ] || { echo b05e83d17a; b dd if=/dev/zero bs=4085 count=1; } | b dd of=$disk bs=4096 seek=1 conv=fsync,notrunc
        done",
        |_| first_bytes(DISK)[4096..].starts_with(MARK.as_bytes()),
        blank_the_disk,
    ),
    secret(
        "disk: mount",
        "b mkdir -p /tmp/m; b mknod /tmp/vda b $(b tr : ' ' </sys/block/vda/dev)
        for disk in /tmp/vda /dev/vda; do b mount -t ext4 $disk /tmp/m && { b cat /tmp/m/root/escape; b umount /tmp/m; }; done",
    ),
    effect(
        "swap: switch off",
        "b swapoff /host/swap",
        |_| !swaps_to("/swap"),
        || run(&["swapon", "/escape/host/swap"]),
    ),
    effect(
        "swap: switch on",
        "b swapon /host/more-swap",
        |_| swaps_to("/more-swap"),
        || run(&["swapoff", "/escape/host/more-swap"]),
    ),
];

/// The path is the one of whoever switched it on.
fn swaps_to(file: &str) -> bool {
    read("/proc/swaps")
        .lines()
        .any(|line| line.split_whitespace().next().is_some_and(|path| path.ends_with(file)))
}

fn first_bytes(disk: &str) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    File::open(disk).unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

fn blank_the_disk() {
    let disk = format!("of={DISK}");
    let zeros = ["if=/dev/zero", "bs=4096", "seek=1", "count=1", "conv=fsync", "status=none"];
    run(&[&["dd", &disk][..], &zeros].concat());
}
