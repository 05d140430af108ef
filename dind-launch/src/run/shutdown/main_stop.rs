//! The stop of the main process: one signal after the other, and then KILL, while other things go on beside it.

use crate::process::Node;
use dind_system::supervisor::ChildId;
use nix::libc::SIGKILL;
use std::collections::VecDeque;
use std::time::Instant;

/// A main process that is being stopped.
#[derive(Debug)]
pub(super) struct MainStop {
    child: ChildId,
    signals: VecDeque<i32>,
    /// When the next signal is due.
    next: Instant,
    kill_at: Instant,
}

impl MainStop {
    /// The first signal is due at once, KILL at `kill_at`.
    pub(super) fn new(child: ChildId, signals: Vec<i32>, kill_at: Instant) -> Self {
        Self { child, signals: signals.into(), next: Instant::now(), kill_at }
    }

    /// Sends what is due. Returns when it has to be called again; nothing once the process has exited.
    pub(super) fn advance(&mut self, node: &Node) -> Option<Instant> {
        let now = Instant::now();
        if node.exit_status(self.child).is_some() {
            return None;
        }
        if now >= self.kill_at + super::AFTER_KILL {
            // KILL does not end a process that waits for a device. It must not keep the node.
            return None;
        }
        if now >= self.kill_at {
            node.signal(self.child, SIGKILL);
            return Some(self.kill_at + super::AFTER_KILL);
        }
        if now >= self.next {
            self.signals.pop_front().inspect(|signal| node.signal(self.child, *signal));
            // Each but the last gets three quarters of the time that is left: it is the one that the process should end by.
            let left = self.kill_at.saturating_duration_since(now);
            self.next = if self.signals.is_empty() { self.kill_at } else { now + left * 3 / 4 };
        }
        Some(self.next)
    }

    /// No more time: KILL with the next call.
    pub(super) fn hurry(&mut self) {
        self.kill_at = self.kill_at.min(Instant::now());
    }
}
