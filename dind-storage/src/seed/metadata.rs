//! The files of a seed that are not files of layers: few and small. Their digest is in the manifest.
//!
//! It is the SHA-256 of what `sha256sum` prints of them, in the order of their names as bytes:
//!
//! ```sh
//! cd SEED
//! find image overlay2 -path 'overlay2/*/diff' -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
//! ```

use super::manifest::{self, NAME};
use crate::store::DRIVER_DIRECTORY;
use crate::store::digest::Digest;
use nix::fcntl::OFlag;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A seed whose files cannot be read, or are not what a seed has.
#[derive(Debug)]
pub struct Unreadable {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)
    }
}

impl Unreadable {
    /// The error for the seed that it was found in.
    #[must_use]
    pub fn fault(&self, seed: &Path) -> dind_contract::Fault {
        manifest::invalid(seed, self)
    }
}

/// The files, by their paths in the seed, in order: all but the manifest and the layers' files.
///
/// # Errors
/// A directory cannot be read, or something is neither a file nor a directory, or has a name that no engine gives.
pub fn files(seed: &Path) -> Result<Vec<String>, Unreadable> {
    let mut files = Vec::new();
    walk(seed, "", &mut files)?;
    files.sort_unstable();
    Ok(files)
}

/// The digest of these files, by which a manifest knows them.
///
/// # Errors
/// As [`files`] has them, or a file cannot be read.
pub fn digest(seed: &Path) -> Result<Digest, Unreadable> {
    let mut hash = Sha256::new();
    for name in files(seed)? {
        let path = seed.join(&name);
        let of_file = digest_of(&path).map_err(|error| Unreadable { path, error })?;
        hash.update(format!("{}  {name}\n", of_file.hex()));
    }
    Ok(Digest::finish(hash))
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)?;
    let (mut hash, mut part) = (Sha256::new(), [0; 32 << 10]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(Digest::finish(hash)),
            length => hash.update(&part[..length]),
        }
    }
}

fn walk(seed: &Path, below: &str, files: &mut Vec<String>) -> Result<(), Unreadable> {
    let path = seed.join(below);
    let unreadable = |error| Unreadable { path: path.clone(), error };
    for entry in fs::read_dir(&path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        let unusual = |what| Unreadable { path: entry.path(), error: io::Error::other(what) };
        let name = entry.file_name();
        let name = name.to_str().filter(|name| !name.contains(['\\', '\n', '\r']));
        let name = name.ok_or_else(|| unusual("an engine gives no such name"))?;
        let inside = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        if is_left_out(&inside) {
            continue;
        }
        if kind.is_dir() {
            walk(seed, &inside, files)?;
        } else if kind.is_file() {
            files.push(inside);
        } else {
            return Err(unusual("it is neither a file nor a directory"));
        }
    }
    Ok(())
}

/// The manifest and the layers' files.
fn is_left_out(path: &str) -> bool {
    let mut names = path.split('/');
    let is_diff =
        names.next() == Some(DRIVER_DIRECTORY) && names.nth(1) == Some("diff") && names.next().is_none();
    is_diff || path == NAME
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_digest_is_that_of_the_metadata_as_the_documented_command_prints_it() {
        let scratch = tempfile::tempdir().unwrap();
        let seed = scratch.path();
        for directory in
            ["image/overlay2/imagedb", "image/overlay2/layerdb/x", "overlay2/1/diff/diff", "overlay2/2"]
        {
            fs::create_dir_all(seed.join(directory)).unwrap();
        }
        let write = |name: &str, text: &str| fs::write(seed.join(name), text).unwrap();
        write("seed.json", "the manifest");
        write("image/overlay2/repositories.json", "{}");
        write("image/overlay2/layerdb/x/diff", "not the files of a layer");
        write("overlay2/1/link", "L");
        write("overlay2/1/diff/file", "of a layer");
        assert_eq!(
            files(seed).unwrap(),
            ["image/overlay2/layerdb/x/diff", "image/overlay2/repositories.json", "overlay2/1/link"]
        );
        let first = digest(seed).unwrap();
        let script = include_str!("metadata.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! "))
            .find(|line| line.starts_with("find "))
            .unwrap();
        let printed = Command::new("sh").args(["-c", script]).current_dir(seed).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&printed.stdout), format!("{}  -\n", first.hex()));

        write("overlay2/1/diff/file", "changed");
        write("seed.json", "changed");
        assert_eq!(digest(seed).unwrap(), first);
        write("overlay2/2/lower", "l/L");
        assert_ne!(digest(seed).unwrap(), first, "a file more");
        fs::remove_file(seed.join("overlay2/2/lower")).unwrap();
        assert_eq!(digest(seed).unwrap(), first);
        write("overlay2/1/link", "M");
        assert_ne!(digest(seed).unwrap(), first, "another content");
        std::os::unix::fs::symlink("/etc/passwd", seed.join("image/link")).unwrap();
        assert_eq!(digest(seed).unwrap_err().path, seed.join("image/link"));
    }
}
