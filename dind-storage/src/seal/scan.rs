//! What is in a layer, before anything of it is copied.

use super::attributes::names;
use super::progress::Progress;
use super::trouble::Trouble;
use super::walk::{Entry, Visitor};
use nix::sys::stat::SFlag;
use std::ffi::OsStr;
use std::path::PathBuf;

/// What layers have.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Bytes of the files, without holes.
    pub(super) allocated_bytes: u64,
    /// Bytes of the files, with holes.
    pub(super) bytes: u64,
    /// How many files and directories there are.
    pub(super) inodes: u64,
    /// The latest time at which one was changed, in seconds since 1970.
    pub(super) latest: i64,
    /// Something that has an access control list.
    pub(super) acl: Option<PathBuf>,
    /// Something that was marked by an overlay in a user namespace.
    pub(super) of_user_namespace: Option<PathBuf>,
}

/// Looks at layers, one after the other.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// What all of them have.
    pub(super) found: Found,
    /// Whether something in the layer hides files of the layers beneath; taken by whoever starts the next layer.
    pub(super) hides_files: bool,
    progress: &'a mut Progress,
    buffer: Vec<u8>,
}

impl<'a> Scan<'a> {
    /// Nothing is found yet.
    pub(super) fn new(progress: &'a mut Progress) -> Self {
        Self { found: Found::default(), hides_files: false, progress, buffer: Vec::new() }
    }
}

impl Visitor for Scan<'_> {
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), Trouble> {
        let stat = &entry.stat;
        let is_directory = entry.kind() == SFlag::S_IFDIR;
        if !is_directory && entry.inside.as_os_str() == OsStr::new("diff") {
            return Err(entry.unreadable(std::io::Error::other("it is not a directory")));
        }
        // Names of one file share it. Some may lie elsewhere, so that this is near enough, and cheap.
        #[allow(clippy::unnecessary_cast)] // 32 bits on other architectures
        let shared = if is_directory { 1 } else { (stat.st_nlink as u64).max(1) };
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        self.found.allocated_bytes += unsigned(stat.st_blocks).saturating_mul(512) / shared;
        self.found.bytes += if entry.kind() == SFlag::S_IFREG { unsigned(stat.st_size) / shared } else { 0 };
        self.found.inodes += 1;
        self.found.latest = self.found.latest.max(stat.st_mtime);
        if entry.kind() == SFlag::S_IFCHR && stat.st_rdev == 0 {
            self.hides_files = true;
        }
        let names = names(&entry.by_path(), &mut self.buffer).map_err(|error| entry.unreadable(error))?;
        for name in names.iter().filter_map(|name| name.to_str().ok()) {
            match name {
                "trusted.overlay.opaque"
                | "trusted.overlay.redirect"
                | "trusted.overlay.whiteout"
                | "trusted.overlay.metacopy" => {
                    self.hides_files = true;
                }
                "user.overlay.opaque"
                | "user.overlay.redirect"
                | "user.overlay.whiteout"
                | "user.overlay.metacopy" => {
                    self.found.of_user_namespace.get_or_insert_with(|| entry.path.clone());
                }
                "system.posix_acl_access" | "system.posix_acl_default" => {
                    self.found.acl.get_or_insert_with(|| entry.path.clone());
                }
                _ => {}
            }
        }
        self.progress.looked_at(self.found.inodes);
        Ok(())
    }

    fn leave(&mut self, _: &Entry<'_>) -> Result<(), Trouble> {
        Ok(())
    }
}
