//! `preload`: image archives that the engine shall have. Each is loaded once: what the engine has is left alone.

use crate::fault;
use crate::process::log::EngineLog;
use crate::process::sibling::{OnStopSignal, ToolProcess, wait_all};
use crate::process::{Node, StopReason, broken};
use dind_contract::{Draft, Failed, Fault, Outcome, StepState, Steps};
use dind_system::supervisor::Supervisor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What became of a folder's archives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preloaded {
    /// Archives that were loaded.
    pub loaded: Vec<PathBuf>,
    /// Archives whose images the engine had.
    pub present: Vec<PathBuf>,
}

/// Loads every archive of a folder, in the order of their names, into the engine that `DOCKER_HOST` names.
///
/// # Errors
/// The folder cannot be read, or an archive does not load; those before it stay.
pub fn preload(folder: &Path) -> Outcome<Preloaded> {
    let supervisor = Supervisor::new().map_err(|error| broken("take over", "signals", &error))?;
    let log = EngineLog::open(false).map_err(|error| broken("open", "stderr", &error))?;
    let mut node = Node::new(supervisor, log);
    let (mut result, mut steps) = (Preloaded::default(), Steps::default());
    for archive in archives(folder)? {
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

/// Returns whether the archive had to be loaded.
fn load(node: &mut Node, archive: &Path) -> Result<bool, StopReason> {
    let images = images(node, archive)?;
    if has(node, &images)? {
        return Ok(false);
    }
    let mut command = Command::new("docker");
    command.args(["load", "--quiet", "--input"]).arg(archive);
    let (status, _) = read(node, command)?;
    if status != 0 {
        return Err(failed(archive, &format!("docker load ended with status {status}")).into());
    }
    Ok(true)
}

/// An image of an archive: the names and the id it will have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Image {
    names: Vec<String>,
    id: String,
}

/// What `manifest.json` of an archive says (moby's image/spec, v1.2): a config for each image, named by its digest.
fn parse(manifest: &str) -> Option<Vec<Image>> {
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

/// The images in an archive; none where that cannot be told without loading it.
fn images(node: &mut Node, archive: &Path) -> Result<Vec<Image>, StopReason> {
    let mut command = Command::new("tar");
    command.args(["--extract", "--to-stdout", "--occurrence=1", "--file"]).arg(archive).arg("manifest.json");
    // Whatever it is, `docker load` will tell.
    command.stderr(Stdio::null());
    match read(node, command) {
        Ok((0, text)) => Ok(parse(&text).unwrap_or_default()),
        Ok(_) | Err(StopReason::Fault(_)) => Ok(Vec::new()),
        Err(asked) => Err(asked),
    }
}

/// Whether the engine has all of these images, under all of their names.
fn has(node: &mut Node, images: &[Image]) -> Result<bool, StopReason> {
    let wanted: Vec<(&str, &str)> = images
        .iter()
        .flat_map(|image| image.names.iter().map(|name| (name.as_str(), image.id.as_str())))
        .collect();
    if wanted.is_empty() {
        return Ok(false);
    }
    let mut command = Command::new("docker");
    command.args(["image", "inspect", "--format", "{{.Id}}"]).args(wanted.iter().map(|(name, _)| name));
    command.stderr(Stdio::null());
    let (status, text) = read(node, command)?;
    Ok(status == 0 && text.lines().eq(wanted.iter().map(|(_, id)| *id)))
}

/// Runs a program to its end: its status, and what it printed.
fn read(node: &mut Node, command: Command) -> Result<(u8, String), StopReason> {
    let name = command.get_program().to_string_lossy().into_owned();
    let tool = ToolProcess::start(node, command).map_err(|error| {
        fault::PRELOAD_FAILED.cannot("execute", &name, error).hint("install the Docker client in the image")
    })?;
    let mut tools = [tool];
    wait_all(node, &mut tools, OnStopSignal::Terminate, None)?;
    Ok((tools[0].status(node), tools[0].text()))
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
        assert_eq!(parse(old), Some(vec![image(&["a:1", "a:2"], "sha256:ab12")]));
        let new = r#"[{"Config":"blobs/sha256/cd34","RepoTags":null,"Layers":[]}]"#;
        assert_eq!(parse(new), Some(vec![image(&["sha256:cd34"], "sha256:cd34")]));
        assert_eq!(parse("{}"), None);
    }
}
