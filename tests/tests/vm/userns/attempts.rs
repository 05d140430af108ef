//! The attempts: a script, and how the machine sees that it worked.

use super::place::Place;
use dind_tests::eventually;
use dind_tests::outer::LIMIT;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// What only the machine knows: no script has it.
pub(super) const SECRET: &str = "4a7f2c91e6";

/// What only scripts write.
const MARK: &str = "b05e83d17a";

/// The seconds that a script's process sleeps, so that it is known by them.
const SLEEP: &str = "47110815";

/// A disk of the machine's that it has read already.
const DISK: &str = "/dev/vdd";

/// A loop device of the machine's.
const LOOP: &str = "/dev/loop6";

/// How the machine sees it.
pub(super) enum Seen {
    /// The script's output has the secret.
    Secret,
    /// This holds afterwards. The second undoes it, so that the next place starts as this one did.
    Effect(fn(&Place) -> bool, fn()),
}

/// One attempt.
pub(super) struct Attempt {
    pub(super) name: &'static str,
    pub(super) script: &'static str,
    pub(super) seen: Seen,
}

/// Brings an attempt into the form of the table.
const fn effect(name: &'static str, script: &'static str, holds: fn(&Place) -> bool, undo: fn()) -> Attempt {
    Attempt { name, script, seen: Seen::Effect(holds, undo) }
}

const fn secret(name: &'static str, script: &'static str) -> Attempt {
    Attempt { name, script, seen: Seen::Secret }
}

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
        || fs::write("/proc/sys/kernel/core_pattern", "core").unwrap(),
    ),
    effect(
        "sysctl of the memory",
        "set_kernel proc sys/vm/swappiness 7",
        |_| read("/proc/sys/vm/swappiness") == "7",
        || fs::write("/proc/sys/vm/swappiness", "60").unwrap(),
    ),
    effect(
        "setting in /sys",
        "set_kernel sys block/vda/queue/read_ahead_kb 64",
        |_| read("/sys/block/vda/queue/read_ahead_kb") == "64",
        || fs::write("/sys/block/vda/queue/read_ahead_kb", "128").unwrap(),
    ),
    effect(
        "debugfs",
        "b mkdir -p /tmp/d; b mount -t debugfs d /tmp/d; echo 65536 >/tmp/d/fault_around_bytes",
        |_| read("/run/escape/debug/fault_around_bytes") == "65536",
        || fs::write("/run/escape/debug/fault_around_bytes", "131072").unwrap(),
    ),
    effect(
        "kernel module",
        "b insmod /tools/dummy.ko",
        |_| Path::new("/sys/module/dummy").exists(),
        || on_the_machine(&["rmmod", "dummy"]),
    ),
    effect(
        "clock",
        "b date -s @$(($(b date +%s) + 864000))",
        |_| now() > began() + 800_000,
        set_the_clock_back,
    ),
    secret("loop device: read", "b mknod /tmp/loop b 7 6; b dd if=/tmp/loop bs=64 count=1"),
    secret(
        "disk: read",
        "b mknod /tmp/disk b $(b tr : ' ' </sys/block/vdd/dev); b dd if=/tmp/disk bs=64 count=1",
    ),
    effect(
        "disk: write",
        "b mknod /tmp/disk b $(b tr : ' ' </sys/block/vdd/dev); { echo b05e83d17a; b dd if=/dev/zero bs=4085 count=1; } | \
         b dd of=/tmp/disk bs=4096 seek=1 conv=fsync",
        |_| first_bytes(DISK)[4096..].starts_with(MARK.as_bytes()),
        blank_the_disk,
    ),
    secret(
        "disk: mount",
        "b mkdir -p /tmp/m; b mknod /tmp/vda b $(b tr : ' ' </sys/block/vda/dev); b mount -t ext4 /tmp/vda /tmp/m; \
         b cat /tmp/m/root/escape; b umount /tmp/m",
    ),
    effect(
        "/dev/kmsg",
        "b mknod /tmp/kmsg c 1 11; echo b05e83d17a >/tmp/kmsg",
        |_| kernel_log().contains(MARK),
        clear_kernel_log,
    ),
    secret("kernel log", "b dmesg"),
    secret("file of the machine's root", "b cat /host/secret"),
    secret(
        "the machine's processes: see",
        "for e in /proc/[0-9]*/environ; do b cat $e; done | b tr '\\0' '\\n' | b grep ESCAPE_",
    ),
    effect("the machine's processes: kill", "b kill -9 $(b cat /host/pid)", |_| !is_alive(), start_a_victim),
    effect(
        "the node's limit of memory",
        "for g in / $(b cut -d: -f3 /proc/self/cgroup); do b mount -o remount,rw,bind /sys/fs/cgroup; echo max >/sys/fs/cgroup$g/memory.max; done",
        |place| place.group("memory.max") == "max",
        || (),
    ),
    effect(
        "the node's limit of processes",
        "for g in / $(b cut -d: -f3 /proc/self/cgroup); do b mount -o remount,rw,bind /sys/fs/cgroup; echo max >/sys/fs/cgroup$g/pids.max; done",
        |place| place.group("pids.max") == "max",
        || (),
    ),
    effect(
        "oom_score_adj",
        "/tools/busybox sleep 47110815 >/dev/null & echo -900 >/proc/$!/oom_score_adj; b sleep 1",
        |_| a_sleeper_has("oom_score_adj", |text| text == "-900"),
        end_sleepers,
    ),
    effect(
        "nice",
        "/tools/busybox sleep 47110815 >/dev/null & b renice -n -19 -p $!; b sleep 1",
        // The nice value is the 19th field of stat (proc_pid_stat(5)), the 17th after the name.
        |_| a_sleeper_has("stat", |text| text.rsplit(") ").next().unwrap().split(' ').nth(16) == Some("-19")),
        end_sleepers,
    ),
    effect(
        "limit of open files",
        "ulimit -n 60001 && { b sleep 47110815 >/dev/null & b sleep 1; }",
        |_| {
            a_sleeper_has("limits", |text| {
                text.lines().any(|line| line.starts_with("Max open files") && line.contains("60001"))
            })
        },
        end_sleepers,
    ),
];

/// What the machine has for them.
pub(super) fn set_the_scene() {
    fs::write("/run/escape/began", now().to_string()).unwrap();
    // All of what is written there, not a few lines in a second.
    fs::write("/proc/sys/kernel/printk_devkmsg", "on\n").unwrap();
    let start = [SECRET.as_bytes(), &[0; 1 << 20]].concat();
    fs::write("/run/escape/disk", &start).unwrap();
    on_the_machine(&["losetup", LOOP, "/run/escape/disk"]);
    File::options().write(true).open(DISK).unwrap().write_all(&start).unwrap();
    fs::create_dir_all("/run/escape/debug").unwrap();
    on_the_machine(&["mount", "-t", "debugfs", "debug", "/run/escape/debug"]);
    let shown = Command::new("modinfo").args(["--field", "filename", "dummy"]).output().unwrap();
    let module = String::from_utf8(shown.stdout).unwrap().trim().to_owned();
    let unpack = if module.ends_with(".xz") { "busybox unxz -c" } else { "cat" };
    on_the_machine(&["sh", "-c", &format!("{unpack} {module} >/run/escape/tools/dummy.ko")]);
    start_a_victim();
}

/// runc mounts cgroups for a container in the host's cgroup namespace without the option that makes a cgroup namespace a boundary,
/// and the kernel takes it from all mounts then (cgroup-v2.rst, `nsdelegate`).
pub(super) fn restore_the_boundary_of_cgroups() {
    let kept = read("/proc/mounts").contains("nsdelegate");
    let note = format!(
        "nsdelegate after a container with --cgroupns host: {}\n",
        if kept { "kept" } else { "lost" }
    );
    std::io::stderr().write_all(note.as_bytes()).unwrap();
    on_the_machine(&["mount", "-o", "remount,nsdelegate,memory_recursiveprot", "/sys/fs/cgroup"]);
    assert!(
        read("/proc/mounts")
            .lines()
            .any(|mount| mount.contains("/sys/fs/cgroup ") && mount.contains("nsdelegate"))
    );
}

/// Takes away what a guest that is checked for leftovers would be blamed for.
pub(super) fn clear_the_scene() {
    on_the_machine(&["losetup", "--detach", LOOP]);
    on_the_machine(&["umount", "/run/escape/debug"]);
    on_the_machine(&["kill", &read("/run/escape/host/pid")]);
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Whatever its status: what was not done need not be undone.
fn on_the_machine(command: &[&str]) {
    let mut program = Command::new(command[0]);
    program.args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
}

fn kernel_log() -> String {
    String::from_utf8_lossy(&Command::new("dmesg").output().unwrap().stdout).into_owned()
}

fn clear_kernel_log() {
    on_the_machine(&["dmesg", "--clear"]);
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Where it was moved.
fn set_the_clock_back() {
    if now() > began() + 800_000 {
        on_the_machine(&["busybox", "date", "-s", &format!("@{}", now() - 864_000)]);
    }
}

fn first_bytes(disk: &str) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    File::open(disk).unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

fn blank_the_disk() {
    let disk = format!("of={DISK}");
    let zeros = ["if=/dev/zero", "bs=4096", "seek=1", "count=1", "conv=fsync", "status=none"];
    on_the_machine(&[&["dd", &disk][..], &zeros].concat());
}

fn began() -> u64 {
    read("/run/escape/began").parse().unwrap()
}

/// A process of the machine with the secret in its environment. Its parent is the machine's first process, which waits for it.
fn start_a_victim() {
    if !is_alive() {
        let script = "busybox sleep 100000 >/dev/null 2>&1 & echo $! >/run/escape/host/pid";
        Command::new("sh").args(["-c", script]).env("ESCAPE_SECRET", SECRET).status().unwrap();
    }
}

/// A process that nobody has waited for yet has no command line any more.
fn is_alive() -> bool {
    let pid = read("/run/escape/host/pid");
    !pid.is_empty() && !read(format!("/proc/{pid}/cmdline")).is_empty()
}

/// The processes that scripts have left.
fn sleepers() -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.filter(|path| read(path.join("cmdline")).contains(SLEEP)).collect()
}

/// Whether one of them has this in a file of /proc.
fn a_sleeper_has(file: &str, wanted: impl Fn(&str) -> bool) -> bool {
    sleepers().iter().any(|path| wanted(&read(path.join(file))))
}

fn end_sleepers() {
    for process in sleepers() {
        on_the_machine(&["kill", "-9", process.file_name().unwrap().to_str().unwrap()]);
    }
    eventually("the scripts' processes are gone", LIMIT, || sleepers().is_empty().then_some(()));
}
