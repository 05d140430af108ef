//! What seeds have brought into a data root: written before the first of it is there, so that no kill and no power cut leaves
//! anything that nobody knows.

use crate::data_root::SEED;
use crate::store::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The version of the record that this version writes, and the newest that it reads.
const VERSION: u32 = 1;
const NAME: &str = "record.json";
const TEMPORARY: &str = "record.json.tmp";

/// What seeds have brought into a data root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    version: u32,
    /// `/proc/sys/kernel/random/boot_id` when all of it was there: what was written later in another life of the machine may
    /// have been lost with its power.
    pub boot_id: String,
    /// Whether an apply was at work: what is listed may be there or not, and what is not there was not removed by the user.
    pub pending: bool,
    /// The seeds.
    pub seeds: Vec<SeedEntry>,
    /// The images that came from them and have not been removed.
    pub images: BTreeMap<Digest, ImageEntry>,
    /// The layers that came from them. One that is gone stays listed while something that is set aside needs it by its names.
    pub layers: BTreeMap<Digest, LayerEntry>,
    /// The names that were given to images, and have not been taken away.
    pub names: BTreeMap<String, Digest>,
    /// Images that the user has removed.
    pub removed_images: BTreeSet<Digest>,
    /// Names that the user has taken away from an image of a seed.
    pub removed_names: BTreeMap<String, Digest>,
    /// Names of images that were taken out or set aside, for the day when they come back.
    pub names_aside: BTreeMap<String, Digest>,
}

/// A seed, as it was when it was used last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedEntry {
    /// Where it lay.
    pub path: PathBuf,
    /// Digest of its manifest.
    pub digest: Digest,
}

/// An image that came from a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageEntry {
    /// The chain id of its uppermost layer, if it has any.
    pub top: Option<Digest>,
    /// What it was called when it came: for messages.
    pub names: Vec<String>,
}

impl ImageEntry {
    /// How people know it: by its first name, or by its id.
    #[must_use]
    pub fn called(&self, id: &Digest) -> String {
        self.names.first().cloned().unwrap_or_else(|| id.short().to_owned())
    }
}

/// A layer that came from a seed. Its names in the data root stay as they were at first, whatever the seed calls it: layers
/// and containers above it have them in their `lower`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerEntry {
    /// The driver's name for it.
    pub cache_id: String,
    /// The driver's short name for it.
    pub link: String,
}

impl Record {
    /// Whether nothing in the data root is or was a seed's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let content = Self { version: 0, boot_id: String::new(), pending: false, ..self.clone() };
        content == Self::default()
    }

    /// Reads the record of a data root; nothing where no seed was ever used.
    ///
    /// # Errors
    /// It cannot be read, or a newer version has written it.
    pub fn read(data_root: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(path(data_root)) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let record: Self = serde_json::from_slice(&text)?;
        if record.version > VERSION {
            let cause = format!("it has version {}; this program reads up to {VERSION}", record.version);
            return Err(io::Error::other(cause));
        }
        Ok(Some(record))
    }

    /// Writes the record, whole or not at all; with `sync`, down to the disk.
    ///
    /// # Errors
    /// Those of the write. What was there before is still there then.
    pub fn write(&self, data_root: &Path, sync: bool) -> io::Result<()> {
        let directory = directory(data_root);
        let temporary = directory.join(TEMPORARY);
        let text = serde_json::to_vec(&Self { version: VERSION, ..self.clone() })?;
        let write = || {
            // What was left by a kill is somebody's open file at most.
            remove(&temporary)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(&text)?;
            if sync {
                file.sync_all()?;
            }
            fs::rename(&temporary, path(data_root))?;
            if sync { File::open(&directory)?.sync_all() } else { Ok(()) }
        };
        write().inspect_err(|_| _ = fs::remove_file(&temporary))
    }

    /// Removes the record.
    ///
    /// # Errors
    /// Those of unlink(2), but for "not found".
    pub fn remove(data_root: &Path) -> io::Result<()> {
        remove(&path(data_root))
    }
}

/// The record of a data root.
#[must_use]
pub fn path(data_root: &Path) -> PathBuf {
    directory(data_root).join(NAME)
}

/// Our directory in a data root: the record, mounts of seeds that are files, what is set aside, and what is not finished.
#[must_use]
pub fn directory(data_root: &Path) -> PathBuf {
    data_root.join(SEED)
}

/// Makes our directory.
///
/// # Errors
/// Those of mkdir(2), but for "exists".
pub fn make_directory(data_root: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(directory(data_root)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_a_newer_one_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let data_root = scratch.path();
        assert_eq!(Record::read(data_root).unwrap(), None);
        assert!(Record::default().write(data_root, true).is_err(), "the directory is missing");
        assert!(make_directory(data_root).unwrap());
        let mut record = Record { boot_id: "b".to_owned(), ..Record::default() };
        assert!(record.is_empty());
        record.names.insert("debian:12".to_owned(), Digest::of(b"1"));
        record.write(data_root, true).unwrap();
        record.version = VERSION;
        assert_eq!(Record::read(data_root).unwrap(), Some(record.clone()));
        assert!(!record.is_empty());
        assert_eq!(fs::read_dir(directory(data_root)).unwrap().count(), 1);
        fs::write(path(data_root), r#"{"version":2}"#).unwrap();
        assert!(Record::read(data_root).is_err());
        Record::remove(data_root).unwrap();
        Record::remove(data_root).unwrap();
        assert_eq!(Record::read(data_root).unwrap(), None);
    }
}
