//! Which flag of dockerd sets which key of `daemon.json`.

use dind_contract::flags::SINGULAR;

/// The key in `daemon.json` of a long `dockerd` flag, written without its dashes.
#[must_use]
pub fn key_of_flag(flag: &str) -> &str {
    SINGULAR.iter().find(|(_, singular)| *singular == flag).map_or(flag, |(plural, _)| plural)
}

/// The key that was meant by one which is a flag's name only. dockerd takes such a key, and ignores it.
#[must_use]
pub fn key_meant_by(key: &str) -> Option<&'static str> {
    SINGULAR.iter().find(|(_, singular)| *singular == key).map(|(plural, _)| *plural)
}
