//! What the suites share: where the binaries are, waiting for events with a bound, and what each tool's own tests check.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

pub mod captured;
pub mod outer;
#[cfg(feature = "readme")]
pub mod readme;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A binary under test, by path: a wrapper of cargo's would put it into other namespaces.
///
/// # Panics
/// The suites are not run by xtask, which builds the binaries first.
#[must_use]
pub fn bin(name: &str) -> PathBuf {
    let folder = std::env::var_os("DIND_BIN_DIR").expect("DIND_BIN_DIR is unset: run `cargo xtask test`");
    let path = PathBuf::from(folder).join(name);
    assert!(path.is_file(), "{} is missing: run `cargo xtask test`", path.display());
    path
}

/// Waits until `holds` gives something, and panics after `limit`. For states that no event tells of.
///
/// # Panics
/// It did not come true in time.
pub fn eventually<T>(what: &str, limit: Duration, mut holds: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = holds() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
