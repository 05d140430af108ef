//! Which Docker Engine is installed: by its program's file where that is enough, and else by what it prints.

use crate::build_info::{self, Dockerd};
use crate::helper::Helper;
use crate::program;
use std::path::Path;
use std::time::Duration;

/// `dockerd --version` takes some thirty milliseconds.
const LIMIT: Duration = Duration::from_secs(2);

/// What is known of an engine's version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineVersion {
    /// Nothing.
    #[default]
    Unknown,
    /// It is older than 29.
    Before29,
    /// It is 29 or newer.
    From29,
    /// Its first two numbers.
    Exact(u32, u32),
}

impl EngineVersion {
    /// What a version says, such as `24.0.7`; nothing where it does not begin with a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(['.', '-', '+', '~']).map_while(|word| word.parse::<u32>().ok());
        Some(Self::Exact(numbers.next()?, numbers.next().unwrap_or(0)))
    }

    /// What the installed dockerd shows without being run.
    #[must_use]
    pub fn of_installed() -> Self {
        program::find("dockerd").map_or(Self::Unknown, |path| Self::of_program(&path))
    }

    /// What a dockerd shows without being run.
    #[must_use]
    pub fn of_program(dockerd: &Path) -> Self {
        match build_info::dockerd(dockerd) {
            Dockerd::Before29 => Self::Before29,
            Dockerd::From29 => Self::From29,
            Dockerd::Unknown => Self::Unknown,
        }
    }

    /// Its numbers, where the installed dockerd has to be run to know them and prints them.
    #[must_use]
    pub fn asked(self) -> Self {
        match self {
            Self::Exact(..) => self,
            _ => installed().and_then(|text| Self::parse(&text)).unwrap_or(self),
        }
    }

    /// Whether it is this version or a newer one; nothing where that is not known.
    #[must_use]
    pub fn is_at_least(self, major: u32, minor: u32) -> Option<bool> {
        let least = (major, minor);
        match self {
            Self::Exact(major, minor) => Some((major, minor) >= least),
            Self::Before29 => (least >= (29, 0)).then_some(false),
            Self::From29 => (least <= (29, 0)).then_some(true),
            Self::Unknown => None,
        }
    }
}

/// The version in what `dockerd --version` prints: `Docker version 20.10.24+dfsg1, build 297e128`.
#[must_use]
pub fn parse(text: &str) -> Option<String> {
    let word = text.strip_prefix("Docker version ")?.split([',', ' ', '\n']).next()?;
    Some(word.to_owned()).filter(|word| !word.is_empty())
}

/// The first number of a version.
#[must_use]
pub fn major(version: &str) -> Option<u32> {
    version.split(['.', '-', '+', '~']).next()?.parse().ok()
}

/// The version that the installed dockerd reports.
#[must_use]
pub fn installed() -> Option<String> {
    let found = Helper::find("dockerd").or_else(|| Some(Helper::at(program::find("dockerd")?)))?;
    parse(&found.arg("--version").run(LIMIT).ok()?.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_as_far_as_it_is_known() {
        use EngineVersion::{Before29, Exact, From29, Unknown};
        for (version, least, expected) in [
            (Exact(27, 2), (27, 3), Some(false)),
            (Exact(27, 3), (27, 3), Some(true)),
            (Exact(28, 0), (27, 3), Some(true)),
            (Before29, (29, 0), Some(false)),
            (Before29, (24, 0), None),
            (From29, (29, 0), Some(true)),
            (From29, (24, 0), Some(true)),
            (From29, (29, 3), None),
            (Unknown, (24, 0), None),
        ] {
            assert_eq!(version.is_at_least(least.0, least.1), expected, "{version:?} {least:?}");
        }
    }

    #[test]
    fn a_version_begins_with_a_number() {
        let exact = |text: &str| EngineVersion::parse(text);
        assert_eq!(exact("20.10.24+dfsg1"), Some(EngineVersion::Exact(20, 10)));
        assert_eq!(exact("29"), Some(EngineVersion::Exact(29, 0)));
        assert_eq!(exact("28-rc.1"), Some(EngineVersion::Exact(28, 0)));
        assert_eq!(exact("master"), None);
        assert_eq!(exact(""), None);
    }
}
