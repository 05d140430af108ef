//! What is left at the end of a stop: processes that nobody has named.

use crate::process::{Node, WaitOutcome};
use dind_contract::Fault;
use dind_system::supervisor::send;
use nix::libc::{SIGKILL, SIGTERM};
use std::fs;
use std::time::{Duration, Instant};

/// How long processes that we did not start may take to end by themselves.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(1);
/// How often /proc is read for processes that are not our children.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Ends every process that is left: shims of a dead engine, and what the main process has put into the background.
pub(super) fn stop_leftovers(node: &mut Node, grace: Duration) -> Result<(), Fault> {
    for (signal, limit) in [(SIGTERM, grace.min(LEFTOVERS_GRACE)), (SIGKILL, super::AFTER_KILL)] {
        let deadline = Instant::now() + limit;
        let mut left = remaining();
        left.iter().for_each(|pid| drop(send(*pid, signal)));
        while !left.is_empty() && Instant::now() < deadline {
            // Some are not our children (`docker exec`), so their exit wakes nobody.
            if let WaitOutcome::StopSignal(_) =
                node.wait(&[], Some((Instant::now() + POLL_EVERY).min(deadline)))?
            {
                break;
            }
            left = remaining();
        }
    }
    Ok(())
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
