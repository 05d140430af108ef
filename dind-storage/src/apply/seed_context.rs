//! What the steps of seeds hand on to each other.

use crate::seed::facts::SeedFacts;
use crate::seed::look::View;
use crate::seed::merge::Merged;
use crate::seed::source::Seed;
use crate::store::digest::Digest;
use std::fs::File;

/// What the steps of seeds hand on to each other.
#[derive(Debug, Default)]
pub(super) struct SeedContext {
    /// The data root, locked.
    pub(super) lock: Option<File>,
    /// Digests of the manifests of seeds that are as they were sealed.
    pub(super) checked: Vec<Digest>,
    /// The changes, which can still be taken back.
    pub(super) merged: Option<Merged>,
    /// The seeds, and the data root as it was before the changes.
    pub(super) view: Option<(Vec<Seed>, View)>,
}

impl SeedContext {
    /// With what the plan has found.
    pub(super) fn new(facts: &SeedFacts) -> Self {
        let seen = facts.seeds.iter().filter(|_| facts.view.is_some());
        Self { checked: seen.map(|seed| seed.loaded.digest.clone()).collect(), ..Self::default() }
    }

    /// Closes the data root: what is open cannot be unmounted.
    pub(super) fn unlock(&mut self) {
        self.lock = None;
    }

    /// Keeps the changes.
    pub(super) fn finish(&mut self) {
        if let Some(merged) = self.merged.take() {
            merged.finish();
        }
    }
}
