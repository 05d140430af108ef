//! The steps of seeds. Each looks again: what a plan has seen may be another data root by now, or the image was not mounted yet.

use super::context::Context;
use crate::facts::mounts;
use crate::fault;
use crate::report::ImageStore;
use crate::seed::bind::Binds;
use crate::seed::look::{View, look};
use crate::seed::merge::{Merged, merge};
use crate::seed::options::SeedOptions;
use crate::seed::source::{Kind, Seed, kind};
use crate::seed::{attach, report};
use dind_contract::Fault;
use dind_contract::step::Applied;
use dind_system::proc::in_user_namespace;
use nix::errno::Errno;
use nix::fcntl::FlockArg;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

type Made = Result<Applied<Context>, Fault>;

/// How long another apply may take that is just at work.
const PATIENCE: Duration = Duration::from_secs(5);

/// `attach-seed`
pub(super) fn attach(context: &mut Context, data_root: &Path, seed: &Path) -> Made {
    if is_unused(context) {
        return Ok(Applied::Skipped);
    }
    lock(context, data_root)?;
    let mounts = mounts::read(&context.root)?;
    if attach::is_attached(&context.root, data_root, seed, &mounts) {
        return Ok(Applied::Skipped);
    }
    kind(&context.root, seed, in_user_namespace(&context.root))?;
    let attached = attach::attach(data_root, seed)?;
    Ok(Applied::undo(move |_| attached.undo()))
}

/// `merge-seeds`
pub(super) fn merge_seeds(context: &mut Context, data_root: &Path, options: &SeedOptions) -> Made {
    if is_unused(context) {
        return Ok(Applied::Skipped);
    }
    lock(context, data_root)?;
    let Some((seeds, view)) = view(context, data_root, options)? else { return Ok(Applied::Skipped) };
    for seed in seeds.iter().filter(|seed| !context.seeds.checked.contains(&seed.loaded.digest)) {
        seed.check_if_new(&view.record)?;
    }
    context.storage.seeds = report::seeds(&options.paths, &seeds, Some(&view));
    context.storage.own_images = Some(report::own_images(&view));
    report::done(&mut context.storage.seeds);
    for warning in &view.changes.warnings {
        if !context.warnings.contains(warning) {
            context.warnings.push(warning.clone());
        }
    }
    if view.is_merged {
        context.seeds.view = Some((seeds, view));
        return Ok(Applied::Skipped);
    }
    let merged = merge(data_root, &seeds, (&view.record, &view.held), &view.changes)?;
    context.seeds.merged = Some(merged);
    context.seeds.view = Some((seeds, view));
    Ok(Applied::undo(|context: &mut Context| context.seeds.merged.take().is_none_or(Merged::undo)))
}

/// `bind-seeds`
pub(super) fn bind_seeds(context: &mut Context, data_root: &Path, options: &SeedOptions) -> Made {
    if is_unused(context) {
        return Ok(Applied::Skipped);
    }
    lock(context, data_root)?;
    let seen = match context.seeds.view.take() {
        None => view(context, data_root, options)?,
        seen => seen,
    };
    let Some((seeds, view)) = seen else { return Ok(Applied::Skipped) };
    let mounts = mounts::read(&context.root)?;
    let binds = Binds::compare(&context.root, data_root, &seeds, &view, &mounts);
    if binds.hold() {
        return Ok(Applied::Skipped);
    }
    let made = binds.make()?;
    Ok(Applied::undo(move |_| made.undo()))
}

/// Whether the engine does not look at them, as was seen once the image was mounted.
fn is_unused(context: &Context) -> bool {
    context.storage.store.as_ref().is_some_and(|store| store.name == ImageStore::Containerd)
}

fn view(
    context: &Context,
    data_root: &Path,
    options: &SeedOptions,
) -> Result<Option<(Vec<Seed>, View)>, Fault> {
    let root = &context.root;
    let mounts = mounts::read(root)?;
    let in_user_namespace = in_user_namespace(root);
    let mut seeds = Vec::new();
    for path in &options.paths {
        let place = match kind(root, path, in_user_namespace)? {
            Kind::Directory => path.clone(),
            Kind::File => attach::point(data_root, path),
        };
        seeds.push(Seed::read(root, path, &place, &mounts, in_user_namespace)?);
    }
    Ok(look(root, data_root, &seeds, options)?.map(|view| (seeds, view)))
}

/// One apply at a time changes a data root. The lock is gone with the process.
fn lock(context: &mut Context, data_root: &Path) -> Result<(), Fault> {
    if context.seeds.lock.is_some() {
        return Ok(());
    }
    let failed = |cause: &dyn std::fmt::Display| {
        let fault = fault::DATA_ROOT_IN_USE.cannot("lock", data_root.display(), cause);
        fault.hint("stop the other one, or give each node a volume or a DIND_DATA_ROOT of its own")
    };
    let file = File::open(data_root).map_err(|error| failed(&error))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        #[allow(deprecated)] // nix's `Flock` takes the file; `image::lock` says why there is one way here
        match nix::fcntl::flock(file.as_raw_fd(), FlockArg::LockExclusiveNonblock) {
            Ok(()) => break,
            Err(Errno::EWOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EWOULDBLOCK) => return Err(failed(&"another apply is at work there")),
            // A file system without locks.
            Err(_) => break,
        }
    }
    context.seeds.lock = Some(file);
    Ok(())
}
