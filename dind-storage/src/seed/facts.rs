//! What a plan sees of seeds and of the data root that they are for.

use super::attach;
use super::bind::Binds;
use super::look::{View, look};
use super::options::SeedOptions;
use super::source::{self, Kind, Seed};
use crate::fault;
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{Mount, in_user_namespace};
use std::path::{Path, PathBuf};

/// What a plan sees of seeds.
#[derive(Clone, Debug, Default)]
pub struct SeedFacts {
    /// Those that are files, and whether each is mounted in the data root already.
    pub files: Vec<(PathBuf, bool)>,
    /// Those whose content can be seen.
    pub seeds: Vec<Seed>,
    /// The data root, if the content of all seeds can be seen, and any seed is or was used.
    pub view: Option<View>,
    /// What is mounted for them, with that.
    pub binds: Option<Binds>,
}

/// Looks at the seeds, and at the data root as it is.
///
/// # Errors
/// A seed cannot be used, or the data root needs one that is gone.
pub fn observe(
    root: &Root,
    data_root: &Path,
    mounts: &[Mount],
    options: &SeedOptions,
) -> Result<SeedFacts, Fault> {
    let in_user_namespace = in_user_namespace(root);
    let mut facts = SeedFacts::default();
    for path in &options.paths {
        if path.starts_with(data_root) || data_root.starts_with(path) {
            let cause = "it lies in the data root, or the data root in it";
            let fault = fault::PATH_INVALID.cannot("use the seed", path.display(), cause);
            return Err(fault.hint("set DIND_STORAGE_SEED to a path outside the data root, such as /seed"));
        }
        let place = match source::kind(root, path, in_user_namespace)? {
            Kind::Directory => path.clone(),
            Kind::File if in_user_namespace => {
                let cause = "root of a user namespace cannot mount a file system image";
                let fault = fault::SEED_UNSUITABLE.cannot("use the seed", path.display(), cause);
                return Err(fault.hint(
                    "give the node a directory: mount the image on the host and use that as a volume",
                ));
            }
            Kind::File => {
                let is_attached = attach::is_attached(root, data_root, path, mounts);
                facts.files.push((path.clone(), is_attached));
                if !is_attached {
                    continue;
                }
                attach::point(data_root, path)
            }
        };
        facts.seeds.push(Seed::read(root, path, &place, mounts, in_user_namespace)?);
    }
    if facts.seeds.len() == options.paths.len() {
        facts.view = look(root, data_root, &facts.seeds, options)?;
    }
    if let Some(view) = &facts.view {
        facts.seeds.iter().try_for_each(|seed| seed.check_if_new(&view.record))?;
        facts.binds = Some(Binds::compare(root, data_root, &facts.seeds, view, mounts));
    }
    Ok(facts)
}
