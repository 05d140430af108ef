//! The files of a release at their places in a directory: modes and dates are the same whoever makes them.

use super::Release;
use dind_lab::Result;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use xshell::cmd;

/// A directory that is filled. It is removed with what is in it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
}

impl Tree {
    /// An empty one.
    pub(super) fn new(release: &Release, name: &str) -> Result<Self> {
        let root = release.directory.join(name);
        let tree = Self { root };
        let _ = fs::remove_dir_all(&tree.root);
        tree.directory("")?;
        Ok(tree)
    }

    /// Puts a file to its place.
    pub(super) fn file(&self, from: &Path, to: &str) -> Result<()> {
        let mode = if fs::metadata(from)?.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        self.put(to, |place| fs::copy(from, place).map(drop), mode)
            .map_err(|error| format!("cannot copy `{}`: {error}", from.display()).into())
    }

    /// Puts a text to its place.
    pub(super) fn text(&self, text: &str, to: &str) -> Result<()> {
        self.put(to, |place| fs::write(place, text), 0o644)
    }

    /// Puts every file below a directory to the same place below another; `place` may change its name.
    pub(super) fn files(&self, from: &Path, place: impl Fn(&str) -> String) -> Result<()> {
        for file in below(from)? {
            let name = file.strip_prefix(from)?.to_string_lossy().into_owned();
            self.file(&file, &place(&name))?;
        }
        Ok(())
    }

    fn put(&self, to: &str, write: impl FnOnce(&Path) -> std::io::Result<()>, mode: u32) -> Result<()> {
        if let Some((directory, _)) = to.rsplit_once('/') {
            self.directory(directory)?;
        }
        let place = self.root.join(to);
        write(&place)?;
        Ok(fs::set_permissions(place, fs::Permissions::from_mode(mode))?)
    }

    /// Whatever the umask: the mode is set where a directory is new.
    fn directory(&self, name: &str) -> Result<()> {
        let mut place = self.root.clone();
        for part in std::iter::once("").chain(name.split('/')) {
            place.push(part);
            if !place.exists() {
                DirBuilder::new().mode(0o755).create(&place)?;
                fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }

    /// Gives every file the date of the release.
    pub(super) fn date(&self, release: &Release) -> Result<()> {
        let (shell, root, date) = (&release.workspace.shell, &self.root, format!("@{}", release.epoch));
        let touch = ["-exec", "touch", "--no-dereference", "--date", &date, "{}", "+"];
        Ok(cmd!(shell, "find {root} {touch...}").quiet().run()?)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Every file below a directory, sorted.
pub(super) fn below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(directory).map_err(|error| format!("cannot read `{}`: {error}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files.extend(below(&entry.path())?),
            false => files.push(entry.path()),
        }
    }
    files.sort();
    Ok(files)
}
