//! What the caller wants.

use super::facts::Caller;
use super::tmp::Tmp;
use std::path::PathBuf;

/// What is wanted of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Who starts the engine.
    pub caller: Caller,
    /// What lies at /tmp.
    pub tmp: Tmp,
    /// Where the engine will keep its data.
    pub data_root: PathBuf,
}
