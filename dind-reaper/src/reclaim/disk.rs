//! How full the file system of the data root is.

use crate::fault;
use dind_contract::Fault;
use nix::sys::statvfs::statvfs;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// The fastest that a disk is assumed to be filled, in bytes a second: what NVMe takes in a stream.
const FASTEST: u64 = 2 << 30;

/// Bounds of the time between two looks. statvfs(2) takes a microsecond.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// Space in a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// What is in use, in bytes.
    pub used_bytes: u64,
    /// What can still be written, in bytes.
    pub available_bytes: u64,
    /// The share in use, in percent, rounded up, as df(1) prints it.
    pub used_percent: u8,
}

impl Usage {
    /// From both numbers.
    #[must_use]
    pub fn new(used_bytes: u64, available_bytes: u64) -> Self {
        let all = (u128::from(used_bytes) + u128::from(available_bytes)).max(1);
        let percent = (u128::from(used_bytes) * 100).div_ceil(all);
        Self { used_bytes, available_bytes, used_percent: u8::try_from(percent).unwrap_or(100) }
    }

    /// Whether more than this share is in use.
    #[must_use]
    pub fn is_above(&self, percent: u8) -> bool {
        u128::from(self.used_bytes) * 100
            > u128::from(percent) * (u128::from(self.used_bytes) + u128::from(self.available_bytes))
    }

    /// How long it takes at least until what is left could be full: half of that is when to look again.
    #[must_use]
    pub fn next_look(&self) -> Duration {
        let seconds = self.available_bytes / FASTEST / 2;
        let millis = self.available_bytes % (FASTEST * 2) * 1000 / (FASTEST * 2);
        (Duration::from_secs(seconds) + Duration::from_millis(millis)).clamp(SHORTEST, LONGEST)
    }
}

/// Looks.
///
/// # Errors
/// There is no such directory, or its file system does not answer.
pub fn usage(data_root: &Path) -> Result<Usage, Fault> {
    let stat = statvfs(data_root).map_err(|error| {
        let fault =
            fault::DISK_UNREADABLE.cannot("read the free space of", data_root.display(), error.desc());
        fault.hint("name the engine's data root: --data-root DIR, or DIND_DATA_ROOT")
    })?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    let used = stat.blocks().saturating_sub(stat.blocks_free());
    Ok(Usage::new(bytes(used), bytes(stat.blocks_available())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_df() {
        assert_eq!(Usage::new(0, 0).used_percent, 0);
        assert_eq!(Usage::new(0, 1000).used_percent, 0);
        assert_eq!(Usage::new(851, 149).used_percent, 86);
        assert_eq!(Usage::new(u64::MAX, 0).used_percent, 100);
        assert!(!Usage::new(850, 150).is_above(85));
        assert!(Usage::new(851, 149).is_above(85));
        assert!(!Usage::new(u64::MAX, u64::MAX).is_above(50));
        assert!(!Usage::new(0, 0).is_above(1));
    }

    #[test]
    fn the_next_look_comes_before_the_disk_can_be_full() {
        for available in [1 << 30, 3 << 30, 15 << 30] {
            let usage = Usage::new(1, available);
            let written = usage.next_look().as_millis() as u64 * (FASTEST / 1000);
            assert!(written <= available / 2 + available / 20, "{available}: {:?}", usage.next_look());
        }
        assert_eq!(Usage::new(1, 0).next_look(), SHORTEST);
        assert_eq!(Usage::new(1, u64::MAX).next_look(), LONGEST);
    }
}
