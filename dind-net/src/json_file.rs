//! A JSON file below a root: state of an earlier run, or a part of a captured machine.

use crate::fault;
use dind_contract::Fault;
use dind_system::Root;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads it; nothing where there is none. What it means that a file cannot be understood is up to whoever reads it.
///
/// # Errors
/// [`fault::READ_FAILED`] when it cannot be read.
pub fn read<T: DeserializeOwned>(
    root: &Root,
    path: impl AsRef<Path>,
) -> Result<Option<serde_json::Result<T>>, Fault> {
    let path = path.as_ref();
    let text = root.read_opt(path).map_err(|error| fault::unreadable(path.display(), error))?;
    Ok(text.map(|text| serde_json::from_str(&text)))
}
