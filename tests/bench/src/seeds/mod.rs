//! Images that are there at the start, from a seed: what they cost a node, against the same images loaded.
//!
//! * `images`: the images that are measured, made once in a build directory
//! * `layers`: what an apply costs, by the number of layers
//! * `nodes`: how much later a node is ready, and what it holds itself
//! * `page_cache`: what many nodes keep in memory of the same files

mod images;
mod layers;
mod nodes;
mod page_cache;

use crate::in_directory;
use crate::lifecycle::on_site;
use crate::lifecycle::site::Site;
use dind_lab::{Result, Workspace};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::path::Path;

pub(crate) use nodes::Times;

/// Starts with a seed, and the load of the same images, for a chart.
pub(crate) fn times(workspace: &Workspace, site: &Site, binaries: &Path, rounds: usize) -> Result<Times> {
    let images = images::Images::make(workspace, site, binaries)?;
    nodes::times(site, &images, rounds)
}

/// Measures and prints.
pub(super) fn run(workspace: &Workspace, rounds: usize) -> Result<()> {
    in_directory(workspace, "dind-storage", rounds, |tool, directory| {
        // Whatever is mounted here goes with this thread.
        let measured = std::thread::scope(|scope| {
            let measuring = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
                    .map_err(|error| error.to_string())?;
                layers::run(tool, directory, rounds).map_err(|error| error.to_string())
            });
            measuring.join().map_err(|_| "the thread that measures has panicked".to_owned())?
        });
        Ok(measured?)
    })?;
    on_site(workspace, rounds, |site, binaries| {
        let images = images::Images::make(workspace, site, binaries)?;
        nodes::run(site, &images, rounds)?;
        page_cache::run(site, &images)
    })
}
