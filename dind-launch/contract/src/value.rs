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
