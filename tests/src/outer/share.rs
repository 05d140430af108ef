//! A directory that a test sees, its node, and the node's inner containers.

use super::LIMIT;
use crate::{eventually, scratch};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The directory; gone with its handle.
#[derive(Debug)]
pub struct Share(TempDir);

impl Share {
    /// What an inner container needs to see the directory of its node.
    pub const WITHIN: [&str; 2] = ["--volume", "/share:/share"];

    /// An empty one.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is made on a disk")]
    pub fn new() -> Self {
        Self(scratch())
    }

    /// The volume of the node, as /share.
    #[must_use]
    pub fn volume(&self) -> String {
        format!("{}:/share", self.0.path().display())
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Waits until somebody has made a file.
    ///
    /// # Panics
    /// Nobody does in time.
    pub fn until(&self, name: &str) {
        eventually(name, LIMIT, || self.path(name).exists().then_some(()));
    }

    /// The words of a file, once somebody has written it.
    ///
    /// # Panics
    /// Nobody does in time.
    #[must_use]
    pub fn words(&self, name: &str) -> Vec<String> {
        let text = eventually(name, LIMIT, || fs::read_to_string(self.path(name)).ok());
        text.split_whitespace().map(str::to_owned).collect()
    }
}
