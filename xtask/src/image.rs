//! `image`, and the hidden `engine`: what they make stays in an engine that outlives the command.

use crate::image_sizes;
use dind_lab::engine::Engine;
use dind_lab::product::{
    archive, binaries,
    image::{self, Recipe},
};
use dind_lab::setup::{self, emulation};
use dind_lab::{Result, Workspace, mesos, progress};
use std::path::Path;

/// Builds the node image, or with `mesos` that of a Mesos agent. The engine stays, or the image would go with it.
pub(crate) fn build(
    workspace: &Workspace,
    recipe: Recipe,
    engine_archive: Option<&Path>,
    mesos: bool,
) -> Result<()> {
    let arch = recipe.arch();
    if let Some(file) = engine_archive {
        archive::unpack(workspace, file, arch)?;
    }
    setup::install(workspace, &[setup::BUILD, setup::ENGINE])?;
    // Before the binaries are built, which takes minutes.
    let _emulation = emulation::begin(workspace, arch)?;
    binaries::build_for(workspace, arch)?;
    let mut engine = Engine::find_or_start(workspace)?;
    let image = if mesos {
        mesos::images::build(workspace, &engine, recipe.base)?;
        mesos::images::NODE.to_owned()
    } else {
        image::build(workspace, &engine, recipe)?
    };
    engine.keep()?;
    progress::heading("sizes in MB");
    for (bytes, what) in image_sizes::table(workspace, &engine, &image, arch)? {
        progress::note(&format!("{:7.1} {what}", bytes as f64 / 1e6));
    }
    if engine.is_private() {
        progress::note(&format!("{image} is in a private engine; for the docker command:"));
        progress::note(&format!("export DOCKER_HOST={}", engine.host));
        progress::note("`cargo xtask down` stops it");
    }
    Ok(())
}

/// Starts the engine that the other commands would use, and prints what finds it.
pub(crate) fn leave_engine(workspace: &Workspace) -> Result<()> {
    setup::install(workspace, &[setup::ENGINE])?;
    let mut engine = Engine::find_or_start(workspace)?;
    engine.keep()?;
    let Engine { host, pid, .. } = &engine;
    if engine.is_private() {
        progress::note("addresses of its containers are reached from its network namespace:");
        progress::note(&format!("nsenter --net --target {pid} COMMAND"));
        progress::note("`cargo xtask down` stops it");
    }
    println!("export DOCKER_HOST={host} DIND_TEST_DOCKER_HOST={host} DIND_TEST_ENGINE_PID={pid}");
    Ok(())
}
