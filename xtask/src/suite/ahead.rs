//! What a first run makes while cargo builds: package mirrors and registries keep it waiting more than processors do.

use super::tier::{Options, Tier};
use dind_lab::engine::Engine;
use dind_lab::product::image;
use dind_lab::{Result, Workspace, guest, progress};
use std::thread;

/// Does the work, and what the tiers will need beside it. What is made there is made whole or not at all, and only once:
/// later runs have nothing to do. What cannot be made is left to the tier that needs it, which reports why.
pub(super) fn beside<T>(options: &Options, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        scope.spawn(|| {
            progress::step_aside();
            if let Err(error) = make(options) {
                progress::note(&format!("put off: {error}"));
            }
        });
        work()
    })
}

fn make(options: &Options) -> Result<()> {
    let workspace = Workspace::open()?;
    let with_engine =
        [Tier::Image, Tier::Outside, Tier::Vm].iter().any(|tier| options.tiers().contains(tier));
    // An engine that has run here has the base as well, and starting it only to ask would take seconds each time.
    let packaged = options.image.is_none() && options.engine_archive.is_none();
    if with_engine && packaged && !workspace.engine().exists() {
        let engine = Engine::find_or_start(&workspace)?;
        image::ahead(&workspace, &engine, options.base, options.arch)?;
        engine.release(&workspace)?;
    }
    if options.tiers().contains(&Tier::Vm) {
        guest::ahead(&workspace, options.release(), options.guests())?;
    }
    Ok(())
}
