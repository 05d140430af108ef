//! A directory of links that makes `iptables` the other backend's program, for the engine's `PATH` alone.

use crate::apply::context::Context;
use crate::facts::iptables::{Links, NAMES};
use crate::fault;
use dind_contract::Fault;
use dind_contract::step::{Applied, Undo};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::Path;

/// Makes the directory, in place of one whose links lead elsewhere.
///
/// # Errors
/// [`fault::LINKS_FAILED`].
pub(crate) fn make(links: &Links) -> Result<Applied<Context>, Fault> {
    let Links { directory, program: Some(program) } = links else { return Ok(Applied::Skipped) };
    let made = clear(directory)
        .and_then(|()| fs::create_dir(directory))
        .and_then(|()| NAMES.iter().try_for_each(|name| symlink(program, directory.join(name))));
    made.map_err(|error| {
        // The first error counts.
        let _ = clear(directory);
        fault::LINKS_FAILED
            .cannot("create", directory.display(), error)
            .hint("make the state directory writable, or choose another one with DIND_NET_STATE")
    })?;
    let directory = directory.clone();
    Ok(Applied::undo(move |_| clear(&directory).is_ok()))
}

/// Removes the directory, if it exists.
///
/// # Errors
/// [`fault::LINKS_FAILED`], also when something else than our links lies in it.
pub(crate) fn remove(directory: &Path) -> Result<Applied<Context>, Fault> {
    clear(directory).map_err(|error| {
        fault::LINKS_FAILED.cannot("remove", directory.display(), error).hint("remove it by hand")
    })?;
    Ok(Applied::Done(Undo::Keep))
}

fn clear(directory: &Path) -> io::Result<()> {
    let missing_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    for name in NAMES {
        missing_is_fine(fs::remove_file(directory.join(name)))?;
    }
    missing_is_fine(fs::remove_dir(directory))
}
