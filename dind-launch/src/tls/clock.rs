//! The time of day, by which certificates live and expire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time since 1970.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A time in seconds since 1970, as people and programs read it: `2029-03-05T12:00:00Z`.
pub(super) fn date(seconds: i64) -> String {
    let seconds = Duration::from_secs(seconds.try_into().unwrap_or(0));
    // The year 9999 is the last that certificates know (RFC 5280, 4.1.2.5), and the library, too.
    let last = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + seconds.min(last)).to_string()
}
