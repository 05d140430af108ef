//! The error of everything that `prepare` does.

use crate::fault::PREPARE_FAILED;
use dind_contract::Fault;
use std::io;
use std::path::Path;

/// ``cannot VERB `PATH`: ERROR``.
pub(super) fn failed(verb: &str, path: impl AsRef<Path>, error: &io::Error) -> Fault {
    PREPARE_FAILED
        .cannot(verb, path.as_ref().display(), error)
        .hint("`dind-launch doctor` names what is missing, with the docker flag or the host's command that gives it")
}
