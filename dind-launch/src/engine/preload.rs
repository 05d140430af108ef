//! `preload`: loads image archives into the engine. An archive whose images the engine has is left alone.

use crate::fault;
use crate::paths::SOCKET;
use crate::process::tool::{OnStopSignal, ToolProcess, wait_all};
use crate::process::{Node, StopReason};
use dind_contract::{Draft, Failed, Fault, Outcome, StepState, Steps};
use dind_system::helper::HELPER_PATH;
use dind_system::{PackageManager, Root, program};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess, geteuid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    let images = images(node, archive)?;
    if has_images(node, &images)? {
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

/// The program that unpacks a compressed archive.
#[derive(Debug, PartialEq, Eq)]
struct Unpacker {
    program: &'static str,
    package: &'static str,
}

impl Unpacker {
    /// By the first bytes of the archive, as dockerd does it (moby, pkg/archive, `DetectCompression`). It unpacks gzip and bzip2
    /// by itself, and zstd since 23.0.
    fn of(archive: &Path) -> Option<Self> {
        let mut magic = [0; 6];
        File::open(archive).and_then(|mut file| file.read_exact(&mut magic)).ok()?;
        match magic {
            [0xFD, b'7', b'z', b'X', b'Z', 0] => Some(Self { program: "xz", package: "xz-utils" }),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Self { program: "zstd", package: "zstd" }),
            _ => None,
        }
    }

    /// Where we unpack ourselves: zstd, if that is installed, because 20.10 does not know it.
    fn needed_by_us(&self) -> Option<PathBuf> {
        (self.program == "zstd").then(|| program::on_path(self.program)).flatten()
    }
}

/// The Docker client, without the user's own settings for it: those are for another engine. Through a socket of another kind
/// than unix it needs them.
fn client() -> Command {
    let mut command = Command::new("docker");
    let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    if host.as_ref().is_none_or(|host| host.starts_with("unix:")) {
        let host = host.unwrap_or_else(|| format!("unix://{SOCKET}"));
        command.env_clear().env("PATH", HELPER_PATH).env("DOCKER_HOST", host);
        // A configuration of root's may name another context, or plug-ins.
        command.env("DOCKER_CONFIG", "/nonexistent");
    }
    command
}

/// An image of an archive: the names and the id it will have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Image {
    names: Vec<String>,
    id: String,
}

/// Parses `manifest.json` of an archive (moby's image/spec, v1.2): a config for each image, named by its digest.
fn parse_manifest(manifest: &str) -> Option<Vec<Image>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        config: String,
        repo_tags: Option<Vec<String>>,
    }
    let entries: Vec<Entry> = serde_json::from_str(manifest).ok()?;
    let image = |entry: Entry| {
        let digest = entry.config.rsplit('/').next()?.trim_end_matches(".json").to_owned();
        let id = format!("sha256:{digest}");
        let names = entry.repo_tags.filter(|names| !names.is_empty()).unwrap_or_else(|| vec![id.clone()]);
        Some(Image { names, id })
    };
    entries.into_iter().map(image).collect()
}

/// The images in an archive; none where that cannot be seen without loading it.
fn images(node: &mut Node, archive: &Path) -> Result<Vec<Image>, StopReason> {
    let mut command = Command::new("tar");
    command.env_clear().env("PATH", HELPER_PATH);
    command.args(["--extract", "--to-stdout", "--occurrence=1", "--file"]).arg(archive).arg("manifest.json");
    // An archive that tar cannot read is loaded: `docker load` reports what is wrong with it.
    let started = ToolProcess::start_quiet(node, command);
    match finish(node, vec![("tar", started)]) {
        Ok(tar) if tar[0].status(node) == 0 => Ok(parse_manifest(&tar[0].output()).unwrap_or_default()),
        Ok(_) | Err(StopReason::Fault(_)) => Ok(Vec::new()),
        Err(StopReason::Signal(number)) => Err(StopReason::Signal(number)),
    }
}

/// Whether the engine has all of these images, under all of their names.
fn has_images(node: &mut Node, images: &[Image]) -> Result<bool, StopReason> {
    let names_and_ids: Vec<(&str, &str)> = images
        .iter()
        .flat_map(|image| image.names.iter().map(|name| (name.as_str(), image.id.as_str())))
        .collect();
    if names_and_ids.is_empty() {
        return Ok(false);
    }
    let mut command = client();
    command
        .args(["image", "inspect", "--format", "{{.Id}}"])
        .args(names_and_ids.iter().map(|(name, _)| name));
    let started = ToolProcess::start_quiet(node, command);
    let docker = &finish(node, vec![("docker", started)])?[0];
    let is_listed = docker.output().lines().eq(names_and_ids.iter().map(|(_, id)| *id));
    Ok(docker.status(node) == 0 && is_listed)
}

/// Waits for programs that run at once.
fn finish(
    node: &mut Node,
    started: Vec<(&str, io::Result<ToolProcess>)>,
) -> Result<Vec<ToolProcess>, StopReason> {
    let mut tools = Vec::new();
    for (program, tool) in started {
        tools.push(tool.map_err(|error| {
            fault::PRELOAD_FAILED
                .cannot("execute", program, error)
                .hint("install the Docker client in the image")
        })?);
    }
    wait_all(node, &mut tools, OnStopSignal::Terminate, None)?;
    Ok(tools)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_known_by_their_first_bytes() {
        let directory = tempfile::tempdir().unwrap();
        for (bytes, program) in [
            (&b"\xFD7zXZ\0\0\x04"[..], Some("xz")),
            (b"\x28\xB5\x2F\xFD\x04\x00", Some("zstd")),
            (b"\x1F\x8B\x08\0\0\0\0", None),
            (b"BZh91AY", None),
            (b"", None),
        ] {
            let archive = directory.path().join("archive");
            fs::write(&archive, bytes).unwrap();
            assert_eq!(Unpacker::of(&archive).map(|unpacker| unpacker.program), program, "{bytes:?}");
        }
    }

    #[test]
    fn manifests_of_old_and_new_engines() {
        let image = |names: &[&str], id: &str| Image {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            id: id.to_owned(),
        };
        let old = r#"[{"Config":"ab12.json","RepoTags":["a:1","a:2"],"Layers":["x/layer.tar"]}]"#;
        assert_eq!(parse_manifest(old), Some(vec![image(&["a:1", "a:2"], "sha256:ab12")]));
        let new = r#"[{"Config":"blobs/sha256/cd34","RepoTags":null,"Layers":[]}]"#;
        assert_eq!(parse_manifest(new), Some(vec![image(&["sha256:cd34"], "sha256:cd34")]));
        assert_eq!(parse_manifest("{}"), None);
    }
}
