//! What engines of other makes need before nodes can run on them: the node image and the inner image, out of the Docker engine.

use crate::engine::Engine;
use crate::product::image::INNER;
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::path::PathBuf;
use xshell::cmd;

/// What a test program needs of cargo that the others can do without (tests/Cargo.toml).
#[must_use]
pub fn features(program: &str) -> &'static [&'static str] {
    match program {
        "containerd" => &["--features", "cri"],
        "docs" => &["--features", "docs"],
        _ => &[],
    }
}

/// podman does not write where others are.
const LOAD: &str = "mount -t tmpfs run /run && exec podman --root \"$1\" --runroot /run/podman --tmpdir /run/libpod \
                    --storage-driver overlay load --quiet --input \"$2\"";

/// Both images as `docker save` writes them. The archive is kept until one of the images is another one.
pub fn archive(workspace: &Workspace, engine: &Engine, node: &str) -> Result<PathBuf> {
    let place = workspace.outside();
    fs::create_dir_all(&place)?;
    let (archive, key) = (place.join("images.tar"), place.join("images.key"));
    let wanted = wanted(workspace, engine, node)?;
    if archive.exists() && fs::read_to_string(&key).is_ok_and(|have| have == wanted) {
        return Ok(archive);
    }
    progress::step("save the images", || {
        let _ = fs::remove_file(&key);
        engine.ask(workspace, &["save", "--output", &archive.display().to_string(), node, INNER])?;
        Ok(fs::write(&key, &wanted)?)
    })?;
    Ok(archive)
}

/// What tells these images from others of their names.
fn wanted(workspace: &Workspace, engine: &Engine, node: &str) -> Result<String> {
    let ids = engine.ask(workspace, &["image", "inspect", "--format", "{{.Id}}", node, INNER])?;
    Ok(format!("{node} {ids}"))
}

/// A store of podman's with both images, which others take as one that is only read (containers-storage.conf(5), additionalimagestores).
pub fn podman_store(workspace: &Workspace, engine: &Engine, node: &str) -> Result<PathBuf> {
    let (store, key) = (workspace.outside().join("podman"), workspace.outside().join("podman.key"));
    let wanted = wanted(workspace, engine, node)?;
    if store.exists() && fs::read_to_string(&key).is_ok_and(|have| have == wanted) {
        return Ok(store);
    }
    let archive = archive(workspace, engine, node)?;
    progress::step("load the images into podman", || {
        let _ = fs::remove_file(&key);
        if store.exists() {
            fs::remove_dir_all(&store)?;
        }
        let shell = &workspace.shell;
        let load = cmd!(shell, "unshare --mount sh -ec {LOAD} load {store} {archive}");
        progress::logged(workspace, "podman-load", load)?;
        Ok(fs::write(&key, &wanted)?)
    })?;
    Ok(store)
}
