//! What is left at the end of a stop: processes that nobody has named.

use crate::process::{Node, WaitOutcome};
use dind_system::supervisor::send;
use nix::libc::{SIGKILL, SIGTERM};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// How long processes that we did not start may take to end by themselves.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(1);
/// How often /proc is read for processes that are not our children.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Ends every process that is left: shims of a dead engine, what the main process has put into the background, and what those
/// start or leave behind while they are ended.
pub(super) fn stop_leftovers(node: &mut Node, grace: Duration) {
    for (signal, limit) in [(SIGTERM, grace.min(LEFTOVERS_GRACE)), (SIGKILL, super::AFTER_KILL)] {
        let deadline = Instant::now() + limit;
        // A second TERM makes many a program give up its orderly end.
        let mut asked = BTreeSet::new();
        loop {
            let left = remaining();
            if signal == SIGKILL && std::process::id() == 1 {
                // All at once, so that none is born between the look and the signal (kill(2), pid -1).
                let _ = send(-1, signal);
            } else {
                let due = left.iter().filter(|pid| signal == SIGKILL || asked.insert(**pid));
                due.for_each(|pid| drop(send(*pid, signal)));
            }
            let now = Instant::now();
            if left.is_empty() || now >= deadline {
                break;
            }
            // Some are not our children (`docker exec`), so their exit wakes nobody.
            if let WaitOutcome::StopSignal(_) = node.wait(&[], Some((now + POLL_EVERY).min(deadline))) {
                break;
            }
        }
    }
}

/// The pids of all processes of the container where we are PID 1; otherwise of our children, which orphans below us become.
fn remaining() -> Vec<i32> {
    let text = if std::process::id() == 1 {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>().join(" ")
    } else {
        fs::read_to_string("/proc/thread-self/children").unwrap_or_default()
    };
    text.split_whitespace().filter_map(|word| word.parse().ok()).filter(|pid| *pid != 1).collect()
}
