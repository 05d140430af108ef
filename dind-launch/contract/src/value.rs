//! Values of flags and variables. Each parser says what it expected.

use std::time::Duration;

/// `true`, `false`, and the other spellings that Compose files and CI systems use.
///
/// # Errors
/// Anything else.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("expected `true` or `false`".to_owned()),
    }
}

/// A duration as Docker writes it: `9s`, `1m30s`, `500ms`, `2h`; a plain number counts seconds. At most a year.
///
/// # Errors
/// Anything else.
pub fn duration(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = if plain { format!("{text}s") } else { text.to_owned() };
    // The library knows more units than Docker has: a `d` for days would be ours alone.
    let known = text.chars().all(|c| c.is_ascii_digit() || "hms".contains(c));
    let parsed = known.then(|| humantime::parse_duration(&text).ok()).flatten();
    match parsed {
        Some(duration) if duration <= YEAR => Ok(duration),
        Some(_) => Err("it is longer than a year".to_owned()),
        None => Err("expected a duration such as `9s`, `500ms` or `1m30s`".to_owned()),
    }
}

/// A share between 1 and 99 percent: `85%`, or `85`.
///
/// # Errors
/// Anything else.
pub fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = number.parse::<u8>().ok().filter(|share| digits && (1..100).contains(share));
    parsed.ok_or_else(|| "expected a percentage between `1%` and `99%`".to_owned())
}

/// A size in bytes, with a unit as `docker run --memory` has them: `64MiB`, `512m`, `1g`.
///
/// # Errors
/// Anything else, a number without a unit among it.
pub fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 6] = [("kib", 10), ("mib", 20), ("gib", 30), ("k", 10), ("m", 20), ("g", 30)];
    let lower = text.to_ascii_lowercase();
    let parse = || {
        let (number, shift) =
            UNITS.iter().find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, *shift)))?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(1 << shift)
    };
    parse().ok_or_else(|| "expected a size such as `64MiB` or `1GiB`".to_owned())
}
