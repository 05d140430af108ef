//! Stages of the user's own: programs that the launcher runs between the network and the engine, by the
//! [contract](../contract/README.md) alone. The verbs run in `run/stages.rs`; here is which programs they are, and what their settings
//! for the engine may not change.

use crate::fault;
use dind_contract::{Engine, Fault};
use dind_system::program;
use std::path::PathBuf;

/// Documents of the record, and programs of a plan, that are ours: a stage of the same name would take their place.
const OURS: [&str; 16] = [
    "containerd",
    "dind-net",
    "dind-reaper",
    "dind-storage",
    "dockerd",
    "evidence",
    "net",
    "preload",
    "prepare",
    "probe",
    "probe6",
    "reaper",
    "reclaim",
    "storage",
    "storage-now",
    "tls",
];

/// Before the names of documents of a release.
pub const RELEASE: &str = "release-";

const HINT: &str =
    "name programs on PATH or by absolute paths, separated by spaces: DIND_STAGES=\"mirror /opt/scan\"";

/// A program by the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageProgram {
    /// The name of its file: what its documents are kept under.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Finds the programs of `DIND_STAGES`, in order. The words are split as a shell would.
///
/// # Errors
/// [`fault::STAGES_INVALID`]: one is no program, has a name of ours, or is there twice.
pub fn find(text: &str) -> Result<Vec<StageProgram>, Fault> {
    let refuse = |cause: &str| fault::STAGES_INVALID.invalid("DIND_STAGES", text, cause).hint(HINT);
    let words = shell_words::split(text).map_err(|error| refuse(&error.to_string()))?;
    let mut stages: Vec<StageProgram> = Vec::with_capacity(words.len());
    for word in words {
        // By a relative path it would depend on where the launcher has been started.
        let found = Some(word.as_str()).filter(|word| !word.contains('/') || word.starts_with('/'));
        let Some(path) = found.and_then(program::on_path) else {
            return Err(refuse(&format!("`{word}` is not a program")));
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if OURS.contains(&name.as_str()) || name.starts_with(RELEASE) {
            return Err(refuse(&format!("`{name}` is a name of the launcher's own")));
        }
        if stages.iter().any(|stage| stage.name == name) {
            return Err(refuse(&format!("`{name}` is there twice")));
        }
        stages.push(StageProgram { name, path });
    }
    Ok(stages)
}

/// Refuses settings for the engine that contradict those of an earlier stage. `fragments` are in order, each with the stage's name.
///
/// # Errors
/// [`fault::SETTING_CONTRADICTS`].
pub fn agree(fragments: &[(&str, &Engine)]) -> Result<(), Fault> {
    for (index, (later, fragment)) in fragments.iter().enumerate() {
        for (key, value) in &fragment.config {
            let earlier =
                fragments[..index].iter().find_map(|(name, other)| Some((name, other.config.get(key)?)));
            if let Some((earlier, decided)) = earlier.filter(|(_, decided)| *decided != value) {
                let cause = format!("`{later}` wants {value}, and `{earlier}` has decided {decided}");
                let hint = format!("leave `{key}` out of `engine.config` in the documents of `{later}`");
                return Err(fault::SETTING_CONTRADICTS.cannot("set", key, cause).hint(hint));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn programs_are_found_by_path_and_by_name() {
        let names = |text| find(text).map(|stages| stages.into_iter().map(|it| it.name).collect::<Vec<_>>());
        assert_eq!(names(" \n").unwrap(), [""; 0]);
        assert_eq!(names("/bin/sh cat").unwrap(), ["sh", "cat"]);
        for (text, cause) in [
            ("/bin/sh sh", "`sh` is there twice"),
            ("/etc/passwd", "`/etc/passwd` is not a program"),
            ("./sh", "`./sh` is not a program"),
            ("/no/such", "`/no/such` is not a program"),
            ("'sh", "missing closing quote"),
        ] {
            let fault = names(text).unwrap_err();
            assert_eq!(fault.code, fault::STAGES_INVALID);
            assert!(fault.message.contains(cause), "{fault}");
        }
    }

    #[test]
    fn a_stage_takes_the_place_of_none_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        for name in OURS.into_iter().chain(["release-mirror"]) {
            let path = directory.path().join(name);
            std::fs::copy("/bin/true", &path).unwrap();
            let fault = find(path.to_str().unwrap()).unwrap_err();
            assert!(fault.message.contains("is a name of the launcher's own"), "{fault}");
        }
    }

    #[test]
    fn what_an_earlier_stage_has_decided_stays() {
        let engine = |config: serde_json::Value| Engine {
            config: config.as_object().cloned().unwrap(),
            ..Engine::default()
        };
        let (net, same) = (engine(json!({"mtu": 1400})), engine(json!({"mtu": 1400, "debug": true})));
        assert_eq!(agree(&[("net", &net), ("mirror", &same)]), Ok(()));
        let other = engine(json!({"mtu": 1500}));
        let fault = agree(&[("net", &net), ("mirror", &same), ("scan", &other)]).unwrap_err();
        assert_eq!(fault.code, fault::SETTING_CONTRADICTS);
        assert_eq!(fault.message, "cannot set `mtu`: `scan` wants 1500, and `net` has decided 1400");
    }
}
