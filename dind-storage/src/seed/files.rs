//! Changes of files that can be taken back: what is new is made aside and renamed into place, what goes is renamed away first and
//! removed when everything else is done. Whatever a kill leaves lies in one directory, and the next apply removes it.

use super::remains::{self, is_missing, remove, remove_all_in, remove_remains};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where single files are made.
const SINGLE: &str = "files";

/// What has been changed, and how to take it back.
#[derive(Debug)]
pub struct Files {
    work: PathBuf,
    next: usize,
    undo: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Made(PathBuf),
    MadeDirectory(PathBuf),
    Moved { from: PathBuf, to: PathBuf },
}

impl Files {
    /// For a data root that has our directory. What a kill has left is removed.
    ///
    /// # Errors
    /// The directory for unfinished things cannot be made.
    pub fn new(data_root: &Path) -> io::Result<Self> {
        let work = remains::directory(data_root);
        remove_remains(data_root);
        match DirBuilder::new().mode(0o700).create(&work) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        remains::spread(&work);
        fs::create_dir(work.join(SINGLE)).inspect_err(|_| drop(fs::remove_dir(&work)))?;
        Ok(Self { work, next: 0, undo: Vec::new() })
    }

    /// A name for something that is not finished.
    pub fn temporary(&mut self) -> PathBuf {
        self.next += 1;
        self.work.join(self.next.to_string())
    }

    /// The same for a single file: it has its inode where its directory has.
    pub fn temporary_file(&mut self) -> PathBuf {
        self.next += 1;
        self.work.join(SINGLE).join(self.next.to_string())
    }

    /// Makes directories on the way down from one that exists.
    ///
    /// # Errors
    /// Those of mkdir(2), but for "exists".
    pub fn make_directories(&mut self, from: &Path, below: &str, mode: u32) -> io::Result<()> {
        let mut path = from.to_owned();
        for name in Path::new(below) {
            path.push(name);
            match DirBuilder::new().mode(mode).create(&path) {
                Ok(()) => self.undo.push(Change::MadeDirectory(path.clone())),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives something finished its name. What had that name before goes.
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn publish(&mut self, temporary: &Path, path: &Path) -> io::Result<()> {
        self.discard(path)?;
        fs::rename(temporary, path)?;
        self.undo.push(Change::Made(path.to_owned()));
        Ok(())
    }

    /// Takes something away, if it is there.
    ///
    /// # Errors
    /// Those of rename(2), but for "not found".
    pub fn discard(&mut self, path: &Path) -> io::Result<()> {
        let to = self.temporary();
        self.rename(path, &to)
    }

    /// Moves something, if it is there, to where nothing is.
    ///
    /// # Errors
    /// Those of rename(2), but for "not found".
    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::rename(from, to) {
            Ok(()) => {
                self.undo.push(Change::Moved { from: from.to_owned(), to: to.to_owned() });
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound && is_missing(from) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a symbolic link. What had that name before goes.
    ///
    /// # Errors
    /// Those of symlink(2).
    pub fn link(&mut self, target: &Path, path: &Path) -> io::Result<()> {
        if fs::read_link(path).is_ok_and(|now| now == target) {
            return Ok(());
        }
        let new = self.temporary();
        symlink(target, &new)?;
        self.publish_link(&new, path)
    }

    /// Gives a symbolic link that was made elsewhere its name. What had that name before goes.
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn publish_link(&mut self, new: &Path, path: &Path) -> io::Result<()> {
        self.discard(path)?;
        fs::rename(new, path)?;
        self.undo.push(Change::Made(path.to_owned()));
        Ok(())
    }

    /// Writes a file anew, so that at every moment the old or the new one is there, down to the disk.
    ///
    /// # Errors
    /// Those of the write.
    pub fn replace(&mut self, path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
        let (temporary, old) = (self.temporary(), self.temporary());
        write(&temporary, text, mode, true)?;
        let had_one = match fs::hard_link(path, &old) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            // A file system without hard links.
            Err(_) => fs::copy(path, &old).map(|_| true)?,
        };
        fs::rename(&temporary, path)?;
        self.undo.push(match had_one {
            true => Change::Moved { from: path.to_owned(), to: old },
            false => Change::Made(path.to_owned()),
        });
        Ok(())
    }

    /// Takes everything back, the last first. False: something is still as it was changed.
    pub fn undo(mut self) -> bool {
        let mut undone = true;
        while let Some(change) = self.undo.pop() {
            undone &= match change {
                Change::Made(path) => remove(&path).is_ok(),
                Change::MadeDirectory(path) => fs::remove_dir(path).is_ok(),
                Change::Moved { from, to } => fs::rename(to, from).is_ok(),
            };
        }
        remove_all_in(&self.work);
        undone
    }

    /// Leaves everything as it is, and removes what went.
    pub fn finish(self) {
        remove_all_in(&self.work);
    }
}

/// Writes a new file.
///
/// # Errors
/// Those of the write.
pub fn write(path: &Path, text: &[u8], mode: u32, sync: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text)?;
    if sync { file.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::record;
    use crate::seed::remains::has_remains;

    fn tree(path: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(path).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                found.extend(tree(&entry.path()).iter().map(|below| format!("{name}/{below}")));
                found.push(format!("{name}/"));
            } else {
                found.push(format!("{name}={}", fs::read_to_string(entry.path()).unwrap_or_default()));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn every_change_is_taken_back_or_kept_whole() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("root");
        for directory in ["layer/work/work", "layer/diff", "aside"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for (name, text) in [("names", "old"), ("layer/link", "L"), ("own", "own"), ("replaced", "old")] {
            fs::write(root.join(name), text).unwrap();
        }
        record::make_directory(&root).unwrap();
        let before = tree(&root);
        let change = || {
            let mut files = Files::new(&root).unwrap();
            files.make_directories(&root, "a/b", 0o755).unwrap();
            files.discard(&root.join("layer")).unwrap();
            files.discard(&root.join("none")).unwrap();
            files.rename(&root.join("own"), &root.join("aside/own")).unwrap();
            files.replace(&root.join("names"), b"new", 0o600).unwrap();
            files.replace(&root.join("more"), b"new", 0o600).unwrap();
            files.link(Path::new("own"), &root.join("a/link")).unwrap();
            let temporary = files.temporary();
            write(&temporary, b"new", 0o644, false).unwrap();
            files.publish(&temporary, &root.join("replaced")).unwrap();
            files
        };
        assert!(change().undo());
        assert_eq!(tree(&root), before);
        change().finish();
        let after = tree(&root);
        let expected = [
            ".dind-seed/",
            "a/",
            "a/b/",
            "a/link=",
            "aside/",
            "aside/own=own",
            "more=new",
            "names=new",
            "replaced=new",
        ];
        assert_eq!(after, expected);
        assert!(!has_remains(&root));

        // A kill: nobody undoes, nobody finishes.
        fs::create_dir_all(root.join("layer/diff")).unwrap();
        let mut files = Files::new(&root).unwrap();
        files.discard(&root.join("layer")).unwrap();
        drop(files);
        assert!(has_remains(&root));
        Files::new(&root).unwrap().finish();
        assert_eq!(tree(&root), after);
    }
}
