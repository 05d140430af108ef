//! What `cargo xtask dist` makes: the package on a Debian that has nothing else, the archive, licences, checksums. That two builds of it are
//! the same is for `cargo xtask dist --check`.
//!
//! * `package`: the package of Debian, by its own dpkg and man
//! * `files`: the archive, what is in the programs, and what is written of their parts

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod files;
mod package;

use dind_tests::outer::{docker, setting};
use dind_tests::unique;
use std::path::{Path, PathBuf};

/// The tools.
const TOOLS: [&str; 4] = ["dind-launch", "dind-net", "dind-reaper", "dind-storage"];

/// The directory that `dist` has made.
fn directory() -> PathBuf {
    setting("DIND_TEST_DIST").into()
}

/// The one file in it whose name ends so.
fn file(end: &str) -> PathBuf {
    let entries = std::fs::read_dir(directory()).unwrap().flatten().map(|entry| entry.path());
    let mut found = entries.filter(|path| path.to_string_lossy().ends_with(end));
    let one = found.next().unwrap_or_else(|| panic!("there is no {end}"));
    assert_eq!(found.next(), None, "there are two");
    one
}

/// A container with the package as /dind.deb, without any network. It is removed when its handle is dropped.
struct Debian(String);

impl Debian {
    fn start(image: &str) -> Self {
        let debian = Self(unique("debian"));
        let package = format!("{}:/dind.deb:ro", file(".deb").display());
        let options = ["--network", "none", "--volume", &package, &setting(image), "sleep", "infinity"];
        docker(&[&["run", "--detach", "--init", "--name", &debian.0], &options[..]].concat()).ok();
        debian
    }

    /// What a script prints.
    fn sh(&self, script: &str) -> String {
        docker(&["exec", &self.0, "bash", "-euc", script]).ok()
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.0]);
    }
}

/// Every file below a directory, by the names below it.
fn below(directory: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(below(&entry.path()).into_iter().map(|file| format!("{name}/{file}"))),
            false => files.push(name),
        }
    }
    files.sort();
    files
}
