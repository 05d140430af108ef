//! Against processes and limits: of the machine, of other containers, and the node's own.

use super::{Attempt, effect, secret};
use crate::userns::machine::{HOME, MARK, is_alive, read, run, start_a_victim, victim, write};
use dind_tests::eventually;
use dind_tests::outer::LIMIT;
use std::fs;
use std::path::PathBuf;

/// The seconds that a script's process sleeps, so that it is known by them.
const SLEEP: &str = "47110815";

pub(super) const ATTEMPTS: &[Attempt] = &[
    secret(
        "the machine's processes: see",
        "for e in /proc/[0-9]*/environ; do b cat $e; done | b tr '\\0' '\\n' | b grep ESCAPE_",
    ),
    effect(
        "the machine's processes: ptrace",
        "/tools/dind-test-attempt ptrace $(b cat /host/pid)",
        |_| read(victim().join("environ")).starts_with(&MARK[..8]),
        || {
            kill_the_victim();
            start_a_victim();
        },
    ),
    effect(
        "the machine's processes: kill",
        // A busy machine takes its time between the signal and the end.
        "pid=$(b cat /host/pid); b kill -9 $pid && while [ -n \"$(b cat /proc/$pid/cmdline)\" ]; do :; done",
        |_| !is_alive(),
        start_a_victim,
    ),
    effect(
        "the node's limit of memory",
        "for g in / $(b cut -d: -f3 /proc/self/cgroup); do b mount -o remount,rw,bind /sys/fs/cgroup; echo max >/sys/fs/cgroup$g/memory.max; done",
        |place| place.limit("memory.max") == "max",
        || (),
    ),
    effect(
        "the node's limit of processes",
        "for g in / $(b cut -d: -f3 /proc/self/cgroup); do b mount -o remount,rw,bind /sys/fs/cgroup; echo max >/sys/fs/cgroup$g/pids.max; done",
        |place| place.limit("pids.max") == "max",
        || (),
    ),
    effect(
        "another container's limit of memory",
        "b mkdir -p /tmp/g; b mount -t cgroup2 g /tmp/g; b mount -o remount,rw,bind /sys/fs/cgroup
        for tree in /sys/fs/cgroup /tmp/g; do echo max >$tree$(b cat /tools/group)/memory.max; done",
        |_| read(other_limit()) == "max",
        || write(other_limit(), "52428800"),
    ),
    effect(
        "oom_score_adj",
        "sleeper; echo -900 >/proc/$!/oom_score_adj",
        |_| a_sleeper_has("oom_score_adj", |text| text == "-900"),
        end_sleepers,
    ),
    effect(
        "nice",
        "sleeper; b renice -n -19 -p $!",
        // The nice value is the 19th field of stat (proc_pid_stat(5)), the 17th after the name.
        |_| a_sleeper_has("stat", |text| text.rsplit(") ").next().unwrap().split(' ').nth(16) == Some("-19")),
        end_sleepers,
    ),
    effect(
        "limit of open files",
        "ulimit -n 60001 && sleeper",
        |_| {
            a_sleeper_has("limits", |text| {
                text.lines().any(|line| line.starts_with("Max open files") && line.contains("60001"))
            })
        },
        end_sleepers,
    ),
];

/// Of the container beside the nodes.
fn other_limit() -> String {
    format!("/sys/fs/cgroup{}/memory.max", read(format!("{HOME}/tools/group")))
}

fn kill_the_victim() {
    run(&["kill", "-9", &read(format!("{HOME}/host/pid"))]);
    eventually("the machine's process is gone", LIMIT, || (!is_alive()).then_some(()));
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

pub(super) fn end_sleepers() {
    for process in sleepers() {
        run(&["kill", "-9", process.file_name().unwrap().to_str().unwrap()]);
    }
    eventually("the scripts' processes are gone", LIMIT, || sleepers().is_empty().then_some(()));
}
