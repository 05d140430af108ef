//! `up` and `down`: a node, or a Mesos cluster of nodes, to try things with.

mod mesos;
mod node;

use dind_lab::base::Base;
use dind_lab::engine::{self, Engine};
use dind_lab::{Result, Workspace, progress};
use std::fs;

/// Starts the cluster where `mesos` is set, and the node otherwise.
pub(crate) fn up(workspace: &Workspace, base: Base, mesos: bool) -> Result<()> {
    if mesos { mesos::up(workspace, base) } else { node::up(workspace, base) }
}

/// Removes the node, stops the private engine, and checks that nothing of both is left.
pub(crate) fn down(workspace: &Workspace, purge: bool) -> Result<()> {
    match Engine::find(workspace)? {
        Some(engine) => {
            progress::step("stop the node", || node::remove(workspace, &engine))?;
            progress::step("stop the cluster", || mesos::remove(workspace, &engine))?;
            if engine.is_private() {
                progress::step("stop the private engine", || engine.stop(workspace))?;
            }
        }
        None => engine::clear(workspace)?,
    }
    let cache = workspace.engine();
    if purge && cache.exists() {
        fs::remove_dir_all(&cache)?;
    }
    if cache.exists() {
        progress::note(&format!(
            "nothing is left but the build cache `{}`: `cargo xtask down --purge` removes it",
            cache.display()
        ));
    }
    Ok(())
}
