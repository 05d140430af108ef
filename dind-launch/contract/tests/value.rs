//! Durations and booleans as people write them.

use dind_contract::value::{boolean, duration};
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
