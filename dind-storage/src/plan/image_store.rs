//! Where the engine keeps its images: in a graph driver's store, or in containerd's.

use crate::facts::Facts;
use crate::facts::content::Content;
use crate::fault;
use crate::options::Options;
use crate::report::ImageStore::{Containerd, Graph};
use crate::report::{Driver, ImageStore, Store, StoreReason as Reason};
use dind_contract::{Fault, Warning};
use dind_system::EngineVersion;
use std::path::PathBuf;

/// The first engine with an image store in containerd (moby 24.0 release notes), and the version with which it became the one of
/// new data roots (29.0).
const HAS_CONTAINERD: (u32, u32) = (24, 0);
const PREFERS_CONTAINERD: (u32, u32) = (29, 0);

/// The first engine with the flag `--feature` (moby, cmd/dockerd/config.go).
const HAS_FEATURE_FLAG: (u32, u32) = (27, 3);

/// All that the choice depends on, but for what is in the data root: that of an image is seen once it is mounted.
#[derive(Clone, Debug)]
pub struct Question {
    asked: Option<ImageStore>,
    driver: Driver,
    driver_asked: bool,
    seeds: Vec<PathBuf>,
    as_flags: bool,
    /// The data lies in an image of XFS, which is mounted with quotas.
    pub quotas: bool,
    /// What is known of the engine.
    pub engine: EngineVersion,
}

/// The store, and what is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The store.
    pub store: Store,
    /// Images and seeds that the engine will not see.
    pub warnings: Vec<Warning>,
}

impl Question {
    /// The question for a driver that has been chosen.
    #[must_use]
    pub fn new(facts: &Facts, options: &Options, driver: Driver) -> Self {
        Self {
            asked: options.store,
            driver,
            driver_asked: options.driver.is_some(),
            seeds: options.seeds.paths.clone(),
            as_flags: options.as_flags,
            quotas: false,
            engine: facts.engine,
        }
    }

    /// Answers it; `content` is nothing where it cannot be seen yet.
    ///
    /// # Errors
    /// [`fault::STORE_UNUSABLE`]: containerd's was asked for, and the engine or the driver has none.
    /// [`fault::STORE_NOT_A_FLAG`]: the engine is to be started with flags, and has none for it.
    pub fn answer(&self, content: Option<&Content>) -> Result<Answer, Fault> {
        let seen = content.copied().unwrap_or_default();
        let (name, reason, detail) = match self.asked {
            Some(asked) => (asked, Reason::Asked, None),
            None => self.auto(&seen),
        };
        let is_open = content.is_none() && !matches!(reason, Reason::Asked | Reason::Driver);
        let (reason, detail) = if is_open {
            let words = "the image is not mounted yet, and what is in it decides";
            (Reason::NotMounted, Some(words.to_owned()))
        } else {
            (reason, detail)
        };
        let mut snapshotter = None;
        if name == Containerd {
            self.check()?;
            snapshotter = snapshotter_of(self.driver).map(str::to_owned);
        }
        let warnings = unseen(name, &seen)
            .into_iter()
            .chain(self.seeds_unused(name))
            .chain(self.quotas_unused(name).filter(|_| !is_open))
            .collect();
        Ok(Answer { store: Store { name, reason, detail, snapshotter }, warnings })
    }

    fn auto(&self, content: &Content) -> (ImageStore, Reason, Option<String>) {
        let driver = self.driver;
        let with = |store, reason, words: &str| (store, reason, Some(words.to_owned()));
        if self.driver_asked {
            return with(Graph, Reason::Driver, &format!("{driver} was asked for, which is a graph driver"));
        }
        if content.graph {
            return (Graph, Reason::Kept, None);
        }
        let no_snapshotter = || {
            let words = format!("the storage driver is {driver}");
            (snapshotter_of(driver).is_none()).then(|| with(Graph, Reason::Driver, &words))
        };
        if content.containerd {
            let is_old = self.is_before(HAS_CONTAINERD);
            let old = || is_old.then(|| with(Graph, Reason::EngineVersion, "the engine has no other store"));
            return old().or_else(no_snapshotter).unwrap_or((Containerd, Reason::Kept, None));
        }
        if content.graph_before {
            return (Graph, Reason::Kept, None);
        }
        let (major, minor) = PREFERS_CONTAINERD;
        match self.engine.is_at_least(major, minor) {
            Some(false) => (Graph, Reason::EngineDefault, None),
            None => with(Graph, Reason::EngineUnknown, "the version of the engine is not known"),
            Some(true) if !self.seeds.is_empty() => {
                with(Graph, Reason::Seeds, "DIND_STORAGE_SEED is for the graph driver")
            }
            Some(true) => no_snapshotter().unwrap_or((Containerd, Reason::EngineDefault, None)),
        }
    }

    /// Whether the engine is known to be older.
    fn is_before(&self, (major, minor): (u32, u32)) -> bool {
        self.engine.is_at_least(major, minor) == Some(false)
    }

    /// Whether containerd's store works.
    fn check(&self) -> Result<(), Fault> {
        let unusable =
            |cause: String| fault::STORE_UNUSABLE.failed("cannot use containerd's image store", cause);
        let version = match self.engine {
            EngineVersion::Exact(major, minor) => format!("engine {major}.{minor}"),
            _ => "the engine".to_owned(),
        };
        if self.is_before(HAS_CONTAINERD) {
            let fault = unusable(format!("{version} has none, which came with 24.0"));
            return Err(fault.hint("set DIND_STORAGE_STORE=auto, or take an image with a newer engine"));
        }
        if snapshotter_of(self.driver).is_none() {
            let fault = unusable(format!("there is no snapshotter for the driver {} here", self.driver));
            return Err(fault.hint("set DIND_STORAGE_STORE=graph, or DIND_STORAGE_DRIVER=overlay2"));
        }
        if self.as_flags && self.is_before(HAS_FEATURE_FLAG) {
            let cause = format!("{version} has no flag for `features`, which came with 27.3");
            let fault =
                fault::STORE_NOT_A_FLAG.failed("cannot choose containerd's image store by a flag", cause);
            return Err(fault.hint(
                "write `engine.config` of the JSON output into /etc/docker/daemon.json, or set DIND_STORAGE_STORE=graph",
            ));
        }
        Ok(())
    }

    fn seeds_unused(&self, store: ImageStore) -> Option<Warning> {
        (store == Containerd && !self.seeds.is_empty()).then(|| {
            Warning::new(
                fault::SEED_NOT_USED,
                "the images of DIND_STORAGE_SEED are not there: the engine keeps its images in containerd",
                "set DIND_STORAGE_STORE=graph, or leave the seeds out",
            )
        })
    }

    /// The engine does not refuse such a container: it starts without a limit (moby, daemon/containerd/image_snapshot.go).
    fn quotas_unused(&self, store: ImageStore) -> Option<Warning> {
        (store == Containerd && self.quotas).then(|| {
            Warning::new(
                fault::QUOTA_UNAVAILABLE,
                "`docker run --storage-opt size=…` limits nothing: containerd's image store has no quotas",
                "set DIND_STORAGE_STORE=graph for a new image; one that holds images in containerd does not show them then",
            )
        })
    }
}

/// containerd's name for what a graph driver does, as far as a node's containerd has it built in and it was tried.
fn snapshotter_of(driver: Driver) -> Option<&'static str> {
    match driver {
        Driver::Overlay2 => Some("overlayfs"),
        Driver::Vfs => Some("native"),
        Driver::Aufs | Driver::Btrfs | Driver::Zfs | Driver::FuseOverlayfs => None,
    }
}

/// Nothing of the other store is lost, and nothing of it is seen.
fn unseen(store: ImageStore, content: &Content) -> Option<Warning> {
    let (words, other) = match store {
        Graph if content.containerd => ("containerd's store", "containerd"),
        Containerd if content.graph => ("a graph driver", "graph"),
        _ => return None,
    };
    Some(Warning::new(
        fault::IMAGES_NOT_SEEN,
        format!("the engine does not see the images and containers that the data root has in {words}"),
        format!("they are there again with DIND_STORAGE_STORE={other}"),
    ))
}

#[cfg(test)]
#[path = "image_store_tests.rs"]
mod tests;
