//! The file system that the engine's data lies on.

use nix::sys::statvfs::statvfs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// How full a file system is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What is in use.
    pub used_bytes: u64,
    /// What is left for others than root.
    pub available_bytes: u64,
    /// How many files it can have; 0 where it does not count them.
    pub inodes: u64,
    /// How many it has.
    pub inodes_used: u64,
}

impl Disk {
    /// That of a path.
    ///
    /// # Errors
    /// Those of statvfs(3).
    pub fn of(path: &Path) -> io::Result<Self> {
        let space = statvfs(path)?;
        // Their types differ from processor to processor.
        #[allow(clippy::useless_conversion)]
        let bytes = |blocks| u64::from(blocks).saturating_mul(u64::from(space.fragment_size()));
        #[allow(clippy::useless_conversion)]
        let (inodes, free) = (u64::from(space.files()), u64::from(space.files_free()));
        Ok(Self {
            size_bytes: bytes(space.blocks()),
            used_bytes: bytes(space.blocks().saturating_sub(space.blocks_free())),
            available_bytes: bytes(space.blocks_available()),
            inodes,
            inodes_used: inodes.saturating_sub(free),
        })
    }
}
