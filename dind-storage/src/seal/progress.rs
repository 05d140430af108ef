//! What people see of a seal that takes longer than a second.

use crate::TOOL;
use dind_contract::finish::log;
use std::time::{Duration, Instant};

/// How often something is said.
const PAUSE: Duration = Duration::from_secs(1);

/// A clock that says how far a seal is, once in a second.
#[derive(Debug)]
pub(super) struct Progress {
    next: Instant,
    copied: u64,
    total: u64,
}

impl Progress {
    /// A seal begins.
    pub(super) fn new() -> Self {
        Self { next: Instant::now() + PAUSE, copied: 0, total: 0 }
    }

    /// So many files were looked at.
    pub(super) fn looked_at(&mut self, files: u64) {
        self.say(|_| format!("{files} files are looked at"));
    }

    /// So much is to be copied, in bytes.
    pub(super) fn will_copy(&mut self, total: u64) {
        self.total = total;
    }

    /// A program goes on, which says nothing itself: so many bytes are to be read.
    pub(super) fn will_make(&mut self, total: u64) {
        if total > 100_000_000 {
            log(TOOL, "note", format!("a file system is made of {} MB", total / 1_000_000));
        }
    }

    /// More was copied.
    pub(super) fn copied(&mut self, bytes: u64) {
        self.copied = self.copied.saturating_add(bytes);
        self.say(|it| format!("{} of {} MB are copied", it.copied / 1_000_000, it.total / 1_000_000));
    }

    fn say(&mut self, text: impl FnOnce(&Self) -> String) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + PAUSE;
            log(TOOL, "note", text(self));
        }
    }
}
