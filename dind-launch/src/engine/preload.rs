//! `preload`: loads image archives into the engine. An archive whose images the engine has is left alone.

use crate::fault;
use crate::paths::SOCKET;
use crate::process::tool::{OnStopSignal, ToolProcess, wait_all};
use crate::process::{Node, StopReason};
use dind_contract::{Draft, Failed, Fault, Outcome, StepState, Steps};
use dind_system::Root;
use dind_system::helper::HELPER_PATH;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let mut command = client();
    command.args(["load", "--quiet", "--input"]).arg(archive);
    let started = ToolProcess::start(node, command);
    let (status, _) = finish(node, "docker", started)?;
    if status != 0 {
        return Err(failed(archive, &format!("`docker load` exited with status {status}")).into());
    }
    Ok(true)
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
    match finish(node, "tar", started) {
        Ok((0, text)) => Ok(parse_manifest(&text).unwrap_or_default()),
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
    let (status, text) = finish(node, "docker", started)?;
    Ok(status == 0 && text.lines().eq(names_and_ids.iter().map(|(_, id)| *id)))
}

/// Waits for a program. Returns its exit status, and what it printed.
fn finish(
    node: &mut Node,
    program: &str,
    started: io::Result<ToolProcess>,
) -> Result<(u8, String), StopReason> {
    let tool = started.map_err(|error| {
        fault::PRELOAD_FAILED.cannot("execute", program, error).hint("install the Docker client in the image")
    })?;
    let mut tools = [tool];
    wait_all(node, &mut tools, OnStopSignal::Terminate, None)?;
    Ok((tools[0].status(node), tools[0].output()))
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
    let suffixes = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst"];
    paths.retain(|path| suffixes.iter().any(|suffix| path.to_string_lossy().ends_with(suffix)));
    paths.sort();
    Ok(paths)
}

fn failed(archive: &Path, cause: &str) -> Fault {
    let fault = fault::PRELOAD_FAILED.cannot("load", archive.display(), cause);
    fault.hint("create archives with: docker save IMAGE > IMAGE.tar")
}

#[cfg(test)]
mod tests {
    use super::*;

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
