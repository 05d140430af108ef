//! The room on the engine's disk, of which little is an event.

use dind_system::time_of_day;
use nix::sys::statvfs::statvfs;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at it.
const EVERY: Duration = Duration::from_secs(5);
/// Of a file system less than this share free is an event: 1/n.
const LOW: [u64; 2] = [10, 100];

/// What was seen last.
#[derive(Debug)]
pub(super) struct Disk {
    /// When it is to be looked at.
    pub(super) due: Instant,
    low: usize,
}

impl Disk {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self { due: Instant::now(), low: 0 }
    }

    /// Looks at it. Returns an event where there is much more or much less room than before.
    pub(super) fn look(&mut self, data_root: &Path) -> Option<Value> {
        self.due = Instant::now() + EVERY;
        let disk = statvfs(data_root).ok()?;
        let low = LOW.iter().filter(|share| disk.blocks_available() < disk.blocks() / *share).count();
        let before = std::mem::replace(&mut self.low, low);
        if low == before {
            return None;
        }
        let bytes = |blocks: u64| blocks * disk.fragment_size();
        let action = if low > before { "disk-low" } else { "disk-freed" };
        let (free, size) = (bytes(disk.blocks_available()), bytes(disk.blocks()));
        Some(
            json!({"time_nano": time_of_day().as_nanos() as u64, "action": action, "free": free, "size": size}),
        )
    }
}
