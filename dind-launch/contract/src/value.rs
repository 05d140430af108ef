//! Values of flags and variables. Each parser takes `&str` and says what it expected.

use std::time::Duration;

/// `true`, `false`, and the other spellings that Compose files and CI systems use.
///
/// # Errors
/// Anything else.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}

/// A duration as Docker writes it: `9s`, `1m30s`, `500ms`, `2h`; a plain number counts seconds.
///
/// # Errors
/// A missing number, an unknown unit, or more than a year.
pub fn duration(text: &str) -> Result<Duration, String> {
    const YEAR_MS: u64 = 366 * 24 * 3_600_000;
    let expected = || "it is no duration like 9s, 500ms or 1m30s".to_owned();
    if text.is_empty() {
        return Err(expected());
    }
    let mut total_ms = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| expected())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "" if digits == text.len() => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(expected()),
        };
        rest = &rest[letters..];
        total_ms =
            number.checked_mul(unit_ms).and_then(|ms| ms.checked_add(total_ms)).ok_or_else(expected)?;
    }
    if total_ms > YEAR_MS {
        return Err("it is more than a year".to_owned());
    }
    Ok(Duration::from_millis(total_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let good =
            [("9s", 9_000), ("9", 9_000), ("500ms", 500), ("1m30s", 90_000), ("2h", 7_200_000), ("0", 0)];
        for (text, ms) in good {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
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
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans() {
        assert_eq!(boolean("TRUE"), Ok(true));
        assert_eq!(boolean("off"), Ok(false));
        assert!(boolean("maybe").is_err());
    }
}
