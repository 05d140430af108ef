//! `preload`: loads image archives into the engine. An archive whose images the engine has is left alone.
//!
//! `content` is what an archive says of itself, `present` compares that with what the engine has. `programs` runs the Docker
//! client and what is beside it; `unpacker` is for archives that `docker load` does not unpack.

mod content;
mod present;
mod programs;
mod unpacker;

use crate::fault;
use crate::process::tool::ToolProcess;
use crate::process::{Node, StopReason};
use dind_contract::{Draft, Failed, Fault, Outcome, StepState, Steps};
use dind_system::{PackageManager, Root, program};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess, geteuid};
use programs::{client, finish};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use unpacker::Unpacker;

/// What was done with the archives of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preloaded {
    /// Archives that were loaded.
    pub loaded: Vec<PathBuf>,
    /// Archives whose images the engine had.
    pub present: Vec<PathBuf>,
}

/// Loads every archive of a directory, in the order of their names, into the engine that `DOCKER_HOST` names.
///
/// # Errors
/// [`fault::PRELOAD_INVALID`]: the directory cannot be read. [`fault::PRELOAD_FAILED`]: an archive does not load; those before it
/// stay loaded.
pub fn preload(directory: &Path) -> Outcome<Preloaded> {
    let mut node = Node::without_engine()?;
    let (mut result, mut steps) = (Preloaded::default(), Steps::default());
    for archive in archives(&Root::default(), directory)? {
        let loaded = match load(&mut node, &archive) {
            Ok(loaded) => loaded,
            Err(reason) => return Err(Failed { fault: Box::new(reason.into_fault()), steps }),
        };
        let (state, list) = if loaded {
            (StepState::Done, &mut result.loaded)
        } else {
            (StepState::Skipped, &mut result.present)
        };
        steps.push("load-images", archive.display(), state);
        list.push(archive);
    }
    Ok(Draft { result, steps, ..Draft::default() })
}

/// Loads an archive unless the engine has its images. Returns whether it was loaded.
fn load(node: &mut Node, archive: &Path) -> Result<bool, StopReason> {
    let images = content::read(node, archive)?;
    if present::has_all(node, archive, &images)? {
        return Ok(false);
    }
    let unpacker = Unpacker::of(archive);
    let mut docker = client();
    docker.args(["load", "--quiet"]);
    let tools = if let Some(program) = unpacker.as_ref().and_then(Unpacker::needed_by_us) {
        let mut unpack = Command::new(program);
        unpack.arg("-dcq").arg(archive);
        let (reader, writer) = io::pipe().map_err(|error| failed(archive, &error.to_string(), None))?;
        let unpack = ToolProcess::start_in_pipe(node, unpack, Stdio::null(), writer.into());
        let docker = ToolProcess::start_in_pipe(node, docker, reader.into(), Stdio::piped());
        finish(node, vec![("docker", docker), ("zstd", unpack)])?
    } else {
        docker.arg("--input").arg(archive);
        let docker = ToolProcess::start(node, docker);
        finish(node, vec![("docker", docker)])?
    };
    match tools.iter().find(|tool| tool.status(node) != 0) {
        None => Ok(true),
        Some(tool) => {
            let cause = format!("`{}` exited with status {}", tool.name(), tool.status(node));
            Err(failed(archive, &cause, unpacker.as_ref()).into())
        }
    }
}

/// The archives in a directory, sorted by name: files that end as those of `docker save` and of compressors do.
///
/// # Errors
/// [`fault::PRELOAD_INVALID`].
pub fn archives(root: &Root, directory: &Path) -> Result<Vec<PathBuf>, Fault> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(root.path(directory))? {
            paths.push(directory.join(entry?.file_name()));
        }
        Ok(paths)
    };
    let mut paths = list().map_err(|error| {
        let fault = fault::PRELOAD_INVALID.cannot("read the image archives in", directory.display(), error);
        fault.hint("mount the directory that DIND_PRELOAD names: -v IMAGES:/preload:ro")
    })?;
    let suffixes = [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst"];
    paths.retain(|path| suffixes.iter().any(|suffix| path.to_string_lossy().ends_with(suffix)));
    paths.sort();
    // Found before anything starts: `docker save --output` makes files that only their owner may read, and root of a user
    // namespace is somebody else. Another caller is refused for what it is.
    let denied = |path: &&PathBuf| eaccess(&root.path(path), AccessFlags::R_OK) == Err(Errno::EACCES);
    if let Some(path) = paths.iter().filter(|_| geteuid().is_root()).find(denied) {
        let fault = fault::PRELOAD_INVALID.cannot("read", path.display(), Errno::EACCES.desc());
        return Err(fault.hint("on the host: chmod a+r the archives, and a+rx their directory"));
    }
    Ok(paths)
}

fn failed(archive: &Path, cause: &str, unpacker: Option<&Unpacker>) -> Fault {
    let fault = fault::PRELOAD_FAILED.cannot("load", archive.display(), cause);
    match unpacker.filter(|unpacker| program::on_path(unpacker.program).is_none()) {
        Some(Unpacker { program, package }) => fault
            .cause(format!("it has to be unpacked by `{program}`, which is not installed"))
            .hint(format!(
                "{}; or compress the archive with gzip",
                PackageManager::of(&Root::default()).hint(program, package)
            )),
        None => fault.hint("create archives with: docker save IMAGE > IMAGE.tar"),
    }
}
