//! A folder of links that makes `iptables` the other backend's program, for the engine's `PATH` alone.

use crate::fault;
use crate::iptables::NAMES;
use crate::plan::Links;
use dind_contract::{Fault, State, Steps};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::Path;

/// The step's name.
pub const OP: &str = "link-iptables";

/// Makes the folder; skipped when every link leads where it should.
///
/// # Errors
/// [`fault::LINKS_FAILED`].
pub fn make(links: &Links, steps: &mut Steps) -> Result<(), Fault> {
    let right =
        |name: &&str| fs::read_link(links.folder.join(name)).is_ok_and(|target| target == links.program);
    if NAMES.iter().all(right) {
        steps.push(OP, links.folder.display(), State::Skipped);
        return Ok(());
    }
    let made = clear(&links.folder)
        .and_then(|()| fs::create_dir(&links.folder))
        .and_then(|()| NAMES.iter().try_for_each(|name| symlink(&links.program, links.folder.join(name))));
    made.map_err(|error| {
        fault::LINKS_FAILED
            .cannot("create", links.folder.display(), error)
            .hint("make the folder writable, or choose another one with DIND_NET_STATE")
    })?;
    steps.push(OP, links.folder.display(), State::Done);
    Ok(())
}

/// Removes the folder, if there is one.
///
/// # Errors
/// [`fault::LINKS_FAILED`], also when something else than our links lies in it.
pub fn remove(folder: &Path) -> Result<(), Fault> {
    clear(folder).map_err(|error| {
        fault::LINKS_FAILED.cannot("remove", folder.display(), error).hint("remove it by hand")
    })
}

fn clear(folder: &Path) -> io::Result<()> {
    let absent_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    for name in NAMES {
        absent_is_fine(fs::remove_file(folder.join(name)))?;
    }
    absent_is_fine(fs::remove_dir(folder))
}
