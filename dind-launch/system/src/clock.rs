//! The wall clock. Budgets never go by it: it jumps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time since 1970: for records, and for the engine's events and logs, which go by it.
#[must_use]
pub fn time_of_day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
