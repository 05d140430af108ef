//! Durations and booleans as people write them.

use dind_contract::value::{boolean, bytes, duration};
use std::time::Duration;

#[test]
fn durations() {
    let good = [("9s", 9_000), ("9", 9_000), ("500ms", 500), ("1m30s", 90_000), ("2h", 7_200_000), ("0", 0)];
    for (text, ms) in good {
        assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    let bad = [
        "",
        "s",
        "-1s",
        "1.5s",
        "9 s",
        "9d",
        "1m30",
        "99999999999999999999s",
        "18446744073709551615h",
        "9000h1",
    ];
    for text in bad.iter().chain(&["8785h"]) {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn booleans() {
    assert_eq!(boolean("TRUE"), Ok(true));
    assert_eq!(boolean("off"), Ok(false));
    assert!(boolean("maybe").is_err());
}

#[test]
fn sizes_have_units() {
    for (text, count) in [("64MiB", 64 << 20), ("1g", 1 << 30), ("2048k", 2 << 20), ("1GiB", 1 << 30)] {
        assert_eq!(bytes(text), Ok(count), "{text}");
    }
    for text in ["", "64", "x", "m", "-1m", "+1m", "1.5g", "99999999999g"] {
        assert!(bytes(text).is_err(), "{text}");
    }
}
