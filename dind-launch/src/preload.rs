//! `DIND_PRELOAD`: image archives that the engine has before the main process begins.

use crate::engine::SOCKET;
use crate::fault;
use crate::node::{Halt, Node};
use crate::tools::{Call, Patience, finish};
use dind_contract::Fault;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Loads every archive of a folder, in the order of their names.
///
/// # Errors
/// The folder cannot be read, or an archive does not load.
pub fn load(node: &mut Node, folder: &Path) -> Result<(), Halt> {
    for archive in archives(folder)? {
        let mut command = Command::new("docker");
        command.args(["--host", &format!("unix://{SOCKET}"), "load", "--quiet", "--input"]).arg(&archive);
        let call =
            Call::start(node, command).map_err(|error| failed(&archive, &format!("docker: {error}")))?;
        let mut calls = [call];
        finish(node, &mut calls, Patience::UntilAsked, None)?;
        let status = calls[0].status(node);
        if status != 0 {
            return Err(failed(&archive, &format!("docker load ended with status {status}")).into());
        }
    }
    Ok(())
}

/// The archives in a folder: what `docker save` and its compressors write.
///
/// # Errors
/// [`fault::PRELOAD_INVALID`].
pub fn archives(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
        Ok(paths)
    };
    let mut paths = list().map_err(|error| {
        let fault = fault::PRELOAD_INVALID.cannot("read the image archives in", folder.display(), error);
        fault.hint("mount the folder that DIND_PRELOAD names: -v IMAGES:/preload:ro")
    })?;
    let suffixes = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst"];
    paths.retain(|path| suffixes.iter().any(|suffix| path.to_string_lossy().ends_with(suffix)));
    paths.sort();
    Ok(paths)
}

fn failed(archive: &Path, cause: &str) -> Fault {
    let fault = fault::PRELOAD_FAILED.cannot("load", archive.display(), cause);
    fault.hint("archives are made by: docker save IMAGE > IMAGE.tar")
}
