//! Reads below a root: `/` is this machine, any other directory is a captured one. The idea is util-linux's `--sysroot`: a
//! machine is a directory of files.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where a tool's facts are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self::at("/")
    }
}

impl Root {
    /// The machine below a directory.
    #[must_use]
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Whether this is the real machine, the only one that can be changed.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Where `path`, absolute on the machine, lies for us.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The text of a file. Bytes that are not UTF-8 are replaced: mount points may hold any.
    ///
    /// # Errors
    /// Those of the read.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.path(path))?).into_owned())
    }

    /// The text of a file, or nothing where there is no such file.
    ///
    /// # Errors
    /// Those of the read, but for "not found".
    pub fn read_opt(&self, path: impl AsRef<Path>) -> io::Result<Option<String>> {
        match self.read(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            read => read.map(Some),
        }
    }

    /// What a symbolic link leads to.
    ///
    /// # Errors
    /// Those of readlink(2).
    pub fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        fs::read_link(self.path(path))
    }

    /// Whether something lies at `path`.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// The sorted names in a directory; none where there is no such directory.
    ///
    /// # Errors
    /// Those of the read, but for "not found".
    pub fn list(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }
}
