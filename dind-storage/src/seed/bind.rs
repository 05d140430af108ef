//! Puts the files of a seed's layers in their places in the data root, read-only. Mounts do not outlive a container, so every
//! start does that again.

use super::look::View;
use super::record::Record;
use super::source::Seed;
use crate::store::{DRIVER_DIRECTORY, Store};
use crate::{bind_mount, fault, mount};
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::Mount;
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is mounted for seeds, and what should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binds {
    /// What is mounted and should not, or not so.
    pub superfluous: Vec<PathBuf>,
    /// What is to be mounted: from, and on what.
    pub missing: Vec<(PathBuf, PathBuf)>,
}

impl Binds {
    /// Compares.
    #[must_use]
    pub fn compare(root: &Root, data_root: &Path, seeds: &[Seed], view: &View, mounts: &[Mount]) -> Self {
        let (wanted, record) = (&view.changes.binds, &view.record);
        let store = Store::at(data_root);
        let mounted = mounted(data_root, mounts);
        let mut binds = Self::default();
        let mut kept = BTreeSet::new();
        for bind in wanted {
            let from = Store::at(&seeds[bind.seed].root).diff(&bind.from);
            let to = store.diff(&bind.to);
            match mounted.get(bind.to.as_str()) {
                Some(mount) if !mount.is_writable() && (!root.is_host() || is_same(&from, &to)) => {}
                Some(_) => {
                    binds.superfluous.push(to.clone());
                    binds.missing.push((from, to));
                }
                None => binds.missing.push((from, to)),
            }
            kept.insert(bind.to.as_str());
        }
        let ours = record.layers.values().map(|entry| entry.cache_id.as_str());
        let other = ours.filter(|name| mounted.contains_key(name) && !kept.contains(name));
        binds.superfluous.extend(other.map(|name| store.diff(name)));
        binds
    }

    /// Whether all is as it should be.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.superfluous.is_empty() && self.missing.is_empty()
    }

    /// Makes it so.
    ///
    /// # Errors
    /// The kernel refuses one; those before it are as they were.
    pub fn make(self) -> Result<Made, Fault> {
        let mut made = Made::default();
        for point in self.superfluous {
            let copy = bind_mount::copy(&point);
            // A process may be in it. What is mounted on top of it is what counts.
            if mount::unmount(&point).is_ok() {
                made.removed.extend(copy.map(|copy| (copy, point)));
            }
        }
        for (from, to) in self.missing {
            if let Err(error) = bind_mount::read_only(&from, &to) {
                let _ = made.undo();
                return Err(refused(&from, &to, error));
            }
            made.mounted.push(to);
        }
        Ok(made)
    }
}

/// What was mounted, and what was there before.
#[derive(Debug, Default)]
pub struct Made {
    mounted: Vec<PathBuf>,
    removed: Vec<(OwnedFd, PathBuf)>,
}

impl Made {
    /// Takes it back. False: something is not as it was.
    #[must_use = "it says whether all is as it was"]
    pub fn undo(self) -> bool {
        let mounted = self.mounted.iter().rev().filter(|point| mount::unmount(point).is_err());
        let mut failed = mounted.count();
        failed += self.removed.iter().filter(|(copy, point)| bind_mount::put(copy, point).is_err()).count();
        failed == 0
    }
}

/// The points in a data root at which layers of seeds are mounted, by the record.
#[must_use]
pub fn points(data_root: &Path, record: &Record, mounts: &[Mount]) -> Vec<PathBuf> {
    let mounted = mounted(data_root, mounts);
    let names = record.layers.values().map(|entry| entry.cache_id.as_str());
    let store = Store::at(data_root);
    names.filter(|name| mounted.contains_key(name)).map(|name| store.diff(name)).collect()
}

/// What is mounted on a layer's files, by the layer's name.
fn mounted<'a>(data_root: &Path, mounts: &'a [Mount]) -> BTreeMap<&'a str, &'a Mount> {
    let driver = data_root.join(DRIVER_DIRECTORY);
    let layer_of = |mount: &'a Mount| {
        let below = mount.point.strip_prefix(&driver).ok()?;
        let name = below.parent()?.to_str().filter(|_| below.ends_with("diff"))?;
        (!name.is_empty() && !name.contains('/')).then_some((name, mount))
    };
    mounts.iter().filter_map(layer_of).collect()
}

/// Whether both are the same directory.
fn is_same(from: &Path, to: &Path) -> bool {
    let place = |path: &Path| fs::symlink_metadata(path).map(|file| (file.dev(), file.ino())).ok();
    place(from).is_some_and(|from| place(to) == Some(from))
}

fn refused(from: &Path, to: &Path, error: Errno) -> Fault {
    if error == Errno::ENOENT && !from.exists() {
        let fault = fault::SEED_INVALID.cannot("use a layer", from.display(), "it is missing from the seed");
        return fault.hint("seal the images again: dind-storage seal");
    }
    mount::failed("mount a layer of the seed on", to, error.desc())
}
