//! Makes the [`Changes`] in a data root. Each file and directory of the engine's appears whole or not at all, layers before the
//! images that need them: `work`.

mod work;

use super::decide::{Changes, pending};
use super::files::Files;
use super::held::Held;
use super::record::{self, Record};
use super::source::Seed;
use crate::fault;
use dind_contract::Fault;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use work::Work;

/// Makes the changes. What could not be made whole is taken back.
///
/// # Errors
/// Something cannot be written or read; the data root is as it was.
pub fn merge(
    data_root: &Path,
    seeds: &[Seed],
    (old, held): (&Record, &Held),
    changes: &Changes,
) -> Result<Merged, Fault> {
    let failed = |(path, error): (PathBuf, io::Error)| {
        let code = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => fault::SPACE_SHORT,
            _ => fault::SEED_NOT_MERGED,
        };
        code.cannot("write", path.display(), error)
            .hint("look at the space in the data root and at the kernel's log")
    };
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let made =
        record::make_directory(data_root).map_err(at(&record::directory(data_root))).map_err(failed)?;
    let files = Files::new(data_root).map_err(at(&record::directory(data_root))).map_err(failed);
    let files = files.inspect_err(|_| _ = made && fs::remove_dir(record::directory(data_root)).is_ok())?;
    let pending = pending(old, &changes.record);
    let mut work = Work::new(data_root, seeds, held, files);
    let done = work.run(&pending, changes);
    let (files, path) = work.end();
    let merged = Merged { data_root: data_root.to_owned(), files, old: old.clone(), pending, made };
    match done {
        Ok(()) => Ok(merged),
        Err(error) => {
            let _ = merged.undo();
            Err(failed((path, error)))
        }
    }
}

/// Changes that can still be taken back.
#[derive(Debug)]
pub struct Merged {
    data_root: PathBuf,
    files: Files,
    old: Record,
    pending: Record,
    made: bool,
}

impl Merged {
    /// Takes all changes back. False: something is still changed; the record says so.
    #[must_use = "it says whether everything is as it was"]
    pub fn undo(self) -> bool {
        // A kill meanwhile must not look like a user who has removed the images. Without that, all stays as it is, which is whole.
        if self.pending.write(&self.data_root, false).is_err() {
            return false;
        }
        let mut undone = self.files.undo();
        if undone {
            undone = match self.old.is_empty() {
                true => Record::remove(&self.data_root).is_ok(),
                false => self.old.write(&self.data_root, false).is_ok(),
            };
        }
        if self.made {
            let _ = fs::remove_dir(record::directory(&self.data_root));
        }
        undone
    }

    /// Keeps them, and removes what they replaced.
    pub fn finish(self) {
        self.files.finish();
    }
}
