//! Makes a seed of the images in a data root whose engine is stopped.
//!
//! `data_root` keeps engines away, `select` finds the images and their layers, `scan` looks at the layers' files before
//! anything is written, `copy` copies them into a directory, `filesystem` makes a file system of them instead, and
//! `metadata` writes the rest. All of it happens in `work`, a directory beside the seed, which gets its name at the end.

mod attributes;
mod copy;
pub mod data_root;
mod file;
mod filesystem;
mod metadata;
pub mod options;
mod progress;
pub mod report;
mod scan;
pub mod select;
mod space;
pub mod trouble;
mod walk;
mod work;

use crate::cli::SealTexts;
use crate::facts::directory::resolved;
use crate::image::location::ImageLocation;
use crate::seed::manifest::Loaded;
use crate::seed::record::{self, Record};
use crate::store::Store;
use crate::{fault, privileges, safe_path};
use copy::Copier;
use dind_contract::document::StepState;
use dind_contract::{Draft, Engine, Fault, Outcome};
use dind_system::{Root, proc};
use filesystem::Tree;
use options::{Form, SealOptions};
use progress::Progress;
use report::Sealed;
use scan::{Found, Scan};
use select::Selection;
use std::collections::HashSet;
use std::ffi::CStr;
use std::fs;
use std::path::PathBuf;
use trouble::Trouble;
use work::{MADE, Work};

/// The one step of a seal.
pub const OP: &str = "make-seed";

/// Where a layer's files lie in the driver's directory of it.
const DIFF: &CStr = c"diff";

/// Makes a seed.
///
/// # Errors
/// An option is invalid, a privilege is missing, the data root is in use or has not what was asked for, or the seed cannot be
/// written. Nothing is left of it.
pub fn seal(root: &Root, texts: &SealTexts) -> Outcome<Sealed> {
    let mut options = SealOptions::parse(texts)?;
    privileges::check(root, "seal")?;
    prepare_process(&options)?;
    options.data_root = resolved(root, &options.data_root);
    check_places(&options)?;
    let location = ImageLocation::open(&options.to)?;
    work::remove_stale(&location)?;
    if location.stat(&location.name).is_some() {
        return Err(work::exists(&options.to).into());
    }
    let program = filesystem::program(options.form)?;
    let _locked = data_root::lock(&options.data_root)?;

    let store = Store::at(&options.data_root);
    let selection = Selection::read(&store, &options.images)?;
    check_bound(root, &store, &selection)?;
    let mut progress = Progress::new();
    let (found, hides_files) = look(&store, &selection, &mut progress, &options)?;
    check_found(&options, &found)?;
    let work = Work::create(&location)?;
    space::check(&work, &location, &store, &selection, &found, options.form, hides_files.contains(&true))?;
    progress.will_copy(found.bytes);
    let parts = Parts { store, selection, hides_files, found };
    let (seed, disk_bytes) = match program {
        None => directory(&work, &parts, &options, &mut progress)?,
        Some(program) => {
            progress.will_make(parts.found.bytes);
            file(&work, program, &parts, &options)?
        }
    };
    work.publish(options.form)?;
    let mut draft = Draft {
        result: Sealed::new(options.to.clone(), options.form, seed, disk_bytes),
        engine: Engine::default(),
        steps: dind_contract::Steps::default(),
        warnings: Vec::new(),
    };
    draft.steps.push(OP, options.to.display(), StepState::Done);
    Ok(draft)
}

/// What a seed is made of.
struct Parts {
    store: Store,
    selection: Selection,
    hides_files: Vec<bool>,
    found: Found,
}

/// A mount namespace for file systems, and as many open files as this process may have: each level of a layer's directories
/// takes three.
fn prepare_process(options: &SealOptions) -> Result<(), Fault> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    if proc::in_user_namespace(&Root::default()) {
        let cause = "in a user namespace, layers are marked in a way that other nodes do not understand";
        let fault = fault::DATA_ROOT_UNSUITABLE.cannot("seal", options.data_root.display(), cause);
        return Err(fault.hint(
            "seal it in a container with --privileged whose users are not mapped, or on the machine itself",
        ));
    }
    if options.form == Form::Dir { Ok(()) } else { filesystem::isolate() }
}

fn check_places(options: &SealOptions) -> Result<(), Fault> {
    let SealOptions { data_root, to, .. } = options;
    if to.starts_with(data_root) || data_root.starts_with(to) {
        let fault =
            fault::PATH_INVALID.invalid("--to", to.display(), "the seed and the data root lie in each other");
        return Err(fault.hint("name a seed beside the data root"));
    }
    if !data_root.is_dir() {
        let fault =
            fault::DATA_ROOT_UNSUITABLE.cannot("seal", data_root.display(), "there is no such directory");
        return Err(fault.hint("give the data root of a stopped engine: --data-root DIR"));
    }
    Ok(())
}

/// A layer that came from a seed is no directory of files until the seed is bound on it.
fn check_bound(root: &Root, store: &Store, selection: &Selection) -> Result<(), Fault> {
    let record = Record::read(&store.root).map_err(|error| {
        let fault = fault::SEED_NOT_MERGED.cannot("read", record::path(&store.root).display(), error);
        fault.hint("use the version of dind that has written it")
    })?;
    let Some(record) = record else { return Ok(()) };
    let mounts = proc::mounts(root).map_err(|error| {
        let fault = fault::FACTS_UNREADABLE.cannot("read", "/proc/self/mountinfo", error);
        fault.hint("mount /proc in the container")
    })?;
    let points: HashSet<PathBuf> = mounts.into_iter().map(|mount| mount.point).collect();
    let recorded: HashSet<_> = record.layers.values().map(|entry| entry.cache_id.as_str()).collect();
    let missing = selection.layers.iter().find(|layer| {
        recorded.contains(layer.cache_id.as_str()) && !points.contains(&store.diff(&layer.cache_id))
    });
    let Some(layer) = missing else { return Ok(()) };
    let cause = format!("its layer {} is that of a seed, which is not there", layer.chain_id.short());
    let fault = fault::DATA_ROOT_UNSUITABLE.cannot("seal", store.root.display(), cause);
    Err(fault.hint("bind the seed first: dind-storage apply --seed SEED"))
}

fn look(
    store: &Store,
    selection: &Selection,
    progress: &mut Progress,
    options: &SealOptions,
) -> Result<(Found, Vec<bool>), Fault> {
    let mut scan = Scan::new(progress);
    let mut hides_files = Vec::with_capacity(selection.layers.len());
    for layer in &selection.layers {
        let path = store.cache(&layer.cache_id);
        let cache = safe_path::open_directory(&path)
            .map_err(|error| Trouble::reading(&path, error).fault(&options.to))?;
        walk::walk(&cache, DIFF, &path, &mut scan).map_err(|trouble| trouble.fault(&options.to))?;
        hides_files.push(std::mem::take(&mut scan.hides_files));
    }
    Ok((scan.found, hides_files))
}

fn check_found(options: &SealOptions, found: &Found) -> Result<(), Fault> {
    if let Some(path) = &found.of_user_namespace {
        let cause = format!("{} was marked by an engine in a user namespace", path.display());
        let fault = fault::DATA_ROOT_UNSUITABLE.cannot("seal", options.data_root.display(), cause);
        return Err(
            fault.hint("load the images into a node that is not in a user namespace, and seal its data root")
        );
    }
    match &found.acl {
        Some(path) if options.form == Form::Squashfs => Err(trouble::cannot_hold(&options.to, path)),
        _ => Ok(()),
    }
}

/// Makes a directory.
fn directory(
    work: &Work<'_>,
    parts: &Parts,
    options: &SealOptions,
    progress: &mut Progress,
) -> Result<(Loaded, u64), Fault> {
    let to = Store::at(&work.place(MADE));
    let mut copier = Copier::new(progress);
    let mut made = || -> Result<Loaded, Trouble> {
        for layer in &parts.selection.layers {
            let (from, target) = (parts.store.cache(&layer.cache_id), to.cache(&layer.cache_id));
            metadata::make_directory(&target)?;
            let source = safe_path::open_directory(&from).map_err(|error| Trouble::reading(&from, error))?;
            // By the descriptor that the path begins with, which is a link.
            let copy = fs::File::open(&target).map_err(|error| Trouble::writing(&target, error))?;
            copier.copy(DIFF, (&source, &from), (&copy.into(), &target))?;
        }
        metadata::write(&parts.store, &to, &parts.selection, &parts.hides_files)
    };
    let seed = made().map_err(|trouble| trouble.fault(&options.to))?;
    Ok((seed, parts.found.allocated_bytes))
}

/// Makes a file system in a file.
fn file(
    work: &Work<'_>,
    program: dind_system::Helper,
    parts: &Parts,
    options: &SealOptions,
) -> Result<(Loaded, u64), Fault> {
    /// Where the tree is mounted.
    const TREE: &str = "tree";
    let tree = Tree::mount(work.place(TREE))?;
    for layer in &parts.selection.layers {
        tree.bind(&parts.store, &layer.cache_id)?;
    }
    let seed = metadata::write(&parts.store, &Store::at(tree.point()), &parts.selection, &parts.hides_files)
        .map_err(|trouble| trouble.fault(&options.to))?;
    let (from, to) = (work.path(TREE), work.path(MADE));
    filesystem::make((program, options.form), (&from, &to), &seed, parts.found.latest, &options.to)?;
    let length = fs::metadata(&to).map_err(|error| trouble::not_made(&options.to, error))?.len();
    Ok((seed, length))
}
