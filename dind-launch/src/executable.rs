//! Whether a command can be executed, before anything is done for it.

use crate::{fault, paths};
use dind_contract::Fault;
use dind_system::Root;
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};

/// Checks that a program, named by its path or on PATH, can be executed.
///
/// # Errors
/// [`fault::COMMAND_NOT_FOUND`], [`fault::COMMAND_NOT_EXECUTABLE`].
pub fn check(root: &Root, program: &str) -> Result<(), Fault> {
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![root.path(program)]
    } else if !root.is_host() {
        paths::program(root, program).map(|path| root.path(path)).into_iter().collect()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(program)).collect()
    };
    if candidates.iter().any(|path| is_executable(path)) {
        return Ok(());
    }
    Err(if candidates.iter().any(|path| path.exists()) {
        not_executable(program)
    } else {
        not_found(program)
    })
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// The fault of a program that does not exist.
pub fn not_found(program: &str) -> Fault {
    let fault = fault::COMMAND_NOT_FOUND.cannot("execute", program, "command not found");
    fault.hint("name a program in the image, by its path or a name on PATH")
}

/// The fault of a file that is no program.
pub fn not_executable(program: &str) -> Fault {
    let fault = fault::COMMAND_NOT_EXECUTABLE.cannot("execute", program, "not an executable file");
    fault.hint("make it executable: chmod +x")
}
