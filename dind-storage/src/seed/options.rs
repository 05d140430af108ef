//! The options of seeds.

use crate::{fault, safe_path};
use dind_contract::{Fault, value};
use std::path::PathBuf;

/// What the user wants of seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeedOptions {
    /// The seeds, the most important first.
    pub paths: Vec<PathBuf>,
    /// Whether images that the user has removed come again.
    pub restore: bool,
    /// What happens to containers that need a seed that is gone.
    pub missing: MissingSeed,
}

/// What happens to containers that need a seed that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingSeed {
    /// The data root is not used.
    #[default]
    Refuse,
    /// They are set aside, and come back with the seed.
    SetAside,
}

impl SeedOptions {
    /// Parses the texts of the three options.
    ///
    /// # Errors
    /// Names the first that is invalid.
    pub fn parse(seeds: Option<&str>, restore: Option<&str>, missing: Option<&str>) -> Result<Self, Fault> {
        let paths = seeds.map_or(Ok(Vec::new()), paths)?;
        let restore = restore.map_or(Ok(false), |text| {
            value::boolean(text).map_err(|cause| {
                let fault = fault::BOOLEAN_INVALID.invalid("DIND_STORAGE_SEED_RESTORE", text, cause);
                fault.hint("set DIND_STORAGE_SEED_RESTORE=true for images that were removed, or leave it out")
            })
        })?;
        let missing = match missing {
            None | Some("refuse") => MissingSeed::Refuse,
            Some("set-aside") => MissingSeed::SetAside,
            Some(text) => {
                let cause = "expected one of refuse, set-aside";
                let fault = fault::MISSING_UNKNOWN.invalid("DIND_STORAGE_SEED_MISSING", text, cause);
                return Err(fault.hint("set DIND_STORAGE_SEED_MISSING to one of them, or leave it out"));
            }
        };
        Ok(Self { paths, restore, missing })
    }
}

fn paths(text: &str) -> Result<Vec<PathBuf>, Fault> {
    let invalid = |cause: &str| {
        let fault = fault::PATH_INVALID.invalid("DIND_STORAGE_SEED", text, cause);
        fault.hint("set DIND_STORAGE_SEED to absolute paths without `..`, separated by colons: /seed:/more")
    };
    let mut paths = Vec::new();
    for part in text.split(':').map(str::trim) {
        let path = safe_path::plain(part).map_err(invalid)?;
        if paths.contains(&path) {
            return Err(invalid("it has a path twice"));
        }
        paths.push(path);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_separated_by_colons_and_what_is_wrong_is_named() {
        let parse = |seeds| SeedOptions::parse(Some(seeds), None, None);
        assert_eq!(parse("/seed:/a/b/").unwrap().paths, [PathBuf::from("/seed"), PathBuf::from("/a/b")]);
        for text in ["seed", "/seed:", "/seed::/b", "/a/../b", "/seed:/seed/"] {
            assert_eq!(parse(text).unwrap_err().code, fault::PATH_INVALID, "{text}");
        }
        assert_eq!(SeedOptions::parse(None, None, None).unwrap(), SeedOptions::default());
        let set = SeedOptions::parse(None, Some("yes"), Some("set-aside")).unwrap();
        assert_eq!((set.restore, set.missing), (true, MissingSeed::SetAside));
        let wrong = SeedOptions::parse(None, Some("perhaps"), None).unwrap_err();
        assert_eq!(wrong.code, fault::BOOLEAN_INVALID);
        let wrong = SeedOptions::parse(None, None, Some("drop")).unwrap_err();
        assert_eq!(wrong.code, fault::MISSING_UNKNOWN);
    }
}
