//! Our files in a data root. What cannot be done with them fails no apply: an engine works without them.

use crate::data_root::{ENGINE_ID, NAME, RESERVE, SWARM};
use crate::facts::{count_reserve, directory, mounts, occupant};
use crate::plan::reserve;
use crate::{fault, mount};
use dind_contract::Fault;
use dind_system::proc::mount_of;
use dind_system::{Root, record_lock};
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes the files of the reserve, or removes as many as the data root needs to be started on. False: all stay as they are.
pub(super) fn adjust_reserve(root: &Root, data_root: &Path) -> bool {
    let directory = data_root.join(RESERVE);
    let kind = mounts::read(root).ok().and_then(|mounts| Some(mount_of(&mounts, data_root)?.kind.clone()));
    let kind = kind.unwrap_or_default();
    let before = count_reserve(root, data_root);
    let mut count = before;
    while let Some(space) = directory::space(root, data_root)
        && let Some(new) = reserve::new_count(count, &space, &kind)
    {
        let done = if new < count {
            let names = root.list(&directory).unwrap_or_default();
            names.iter().skip(new).try_for_each(|name| fs::remove_file(directory.join(name)))
        } else {
            fill(&directory, new, reserve::length(&space))
        };
        if done.is_err() {
            break;
        }
        count = new;
    }
    count != before
}

fn fill(directory: &Path, count: usize, length: u64) -> io::Result<()> {
    if let Err(error) = DirBuilder::new().mode(0o700).create(directory)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let length = i64::try_from(length).map_err(io::Error::other)?;
    let path = |number: usize| directory.join(number.to_string());
    let made = (0..count)
        .try_for_each(|number| Ok(fallocate(open(&path(number))?, FallocateFlags::empty(), 0, length)?));
    // A file system that cannot reserve space has no use for empty files.
    made.inspect_err(|_: &io::Error| {
        (0..count).for_each(|number| _ = fs::remove_file(path(number)));
        let _ = fs::remove_dir(directory);
    })
}

/// Removes the engine's id from a clone; the next engine makes one of its own. False: there is none.
///
/// # Errors
/// The clone is that of a member of a swarm, or its id cannot be removed.
pub(super) fn remove_engine_id(data_root: &Path) -> Result<bool, Fault> {
    if data_root.join(SWARM).symlink_metadata().is_ok() {
        let cause = "it holds a member of a swarm, which there can be only once";
        let fault = fault::GOLDEN_IMAGE_SWARM.cannot("clone an image for", data_root.display(), cause);
        return Err(
            fault.hint("make the golden image of a node that has left its swarm: `docker swarm leave`")
        );
    }
    match fs::remove_file(data_root.join(ENGINE_ID)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(mount::failed("remove `engine-id` of", data_root, error)),
    }
}

/// Writes our name. False: it cannot be written, or another node has the data root by now.
pub(super) fn name_node(data_root: &Path, name: &str) -> bool {
    let write = || {
        let mut file = open(&data_root.join(NAME))?;
        // A node that has started meanwhile keeps its name there.
        if record_lock::holder(&file)?.is_some_and(|pid| occupant::is_elsewhere(pid.as_raw())) {
            return Ok(false);
        }
        file.set_len(0)?;
        writeln!(file, "{name}")?;
        io::Result::Ok(true)
    };
    write().unwrap_or(false)
}

fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)
}
