//! Disks of the guest: ext4 images filled from a directory, without a mount.

use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::path::Path;
use xshell::cmd;

/// Makes a sparse image of `size` with the content of `directory`; whole, or not at all.
pub(super) fn make(workspace: &Workspace, directory: &Path, image: &Path, size: &str) -> Result<()> {
    let (shell, fresh) = (&workspace.shell, image.with_extension("new"));
    // A disk that is thrown away after each run needs no journal.
    let options = ["-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1"];
    let mkfs = cmd!(shell, "mkfs.ext4 {options...} -d {directory} {fresh} {size}");
    progress::logged(workspace, "vm-mkfs", mkfs)?;
    Ok(fs::rename(&fresh, image)?)
}
