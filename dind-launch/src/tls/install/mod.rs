//! Puts new files in their places: all of them or none.
//!
//! Where the directory holds nothing else, and nothing is mounted on it or in it, a complete new directory is put together beside it
//! and the two are exchanged by one system call ([`swap`]). Elsewhere, as where `/certs` or `/certs/client` is a volume, the
//! files take their places one by one, after a mark that all of them are there; an apply that finds the mark goes on with it
//! ([`journal`]). In between, readers may see some old and some new files.

mod journal;
mod swap;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// New files, by their place in the directory.
pub(super) type Files = BTreeMap<&'static str, Vec<u8>>;

/// Puts new files in their places. `directory` is there, its path leads through no symbolic link, and the caller has locked it.
///
/// # Errors
/// Those of the file system. Then nothing has changed, unless the mark was set already: the next apply goes on.
pub(super) fn install(directory: &Path, files: &Files) -> io::Result<()> {
    if swap::is_possible(directory) && swap::install(directory, files).is_ok() {
        return Ok(());
    }
    journal::install(directory, files)
}

/// Goes on with what an earlier apply had decided, and removes what it had not.
///
/// # Errors
/// Those of the file system.
pub(super) fn finish_interrupted(directory: &Path) -> io::Result<()> {
    swap::remove_leftovers(directory);
    journal::finish(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::layout::{CA_KEY, COMMITTED, FILES, SERVER_KEY, STAGING, UNFINISHED};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn files(content: &str) -> Files {
        FILES.iter().map(|file| (*file, format!("{content} {file}").into_bytes())).collect()
    }

    fn content(directory: &Path) -> Vec<String> {
        FILES.iter().map(|file| fs::read_to_string(directory.join(file)).unwrap_or_default()).collect()
    }

    fn expected(content: &str) -> Vec<String> {
        FILES.iter().map(|file| format!("{content} {file}")).collect()
    }

    #[test]
    fn either_way_leaves_the_files_with_their_modes_and_nothing_else() {
        for way in [swap::install, journal::install] {
            let parent = tempfile::tempdir().unwrap();
            let directory = parent.path().join("certs");
            fs::create_dir(&directory).unwrap();
            way(&directory, &files("one")).unwrap();
            assert_eq!(content(&directory), expected("one"));
            // Some are replaced, the rest stay as they are.
            let own = fs::Permissions::from_mode(0o400);
            fs::set_permissions(directory.join(CA_KEY), own).unwrap();
            let mut some = files("two");
            some.remove(CA_KEY);
            way(&directory, &some).unwrap();
            let mut mixed = expected("two");
            mixed[0] = format!("one {CA_KEY}");
            assert_eq!(content(&directory), mixed);
            let mode = |file| fs::metadata(directory.join(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(
                (mode(CA_KEY), mode(SERVER_KEY), mode("client/key.pem"), mode("ca")),
                (0o400, 0o600, 0o644, 0o755)
            );
            let names = |path: &Path| fs::read_dir(path).unwrap().count();
            assert_eq!((names(parent.path()), names(&directory)), (1, 3));
        }
    }

    #[test]
    fn a_directory_with_other_files_in_it_is_not_exchanged() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("certs");
        fs::create_dir_all(directory.join("server")).unwrap();
        assert!(swap::is_possible(&directory));
        fs::write(directory.join("server/csr.pem"), "of docker:dind").unwrap();
        assert!(!swap::is_possible(&directory));
        install(&directory, &files("one")).unwrap();
        assert_eq!(content(&directory), expected("one"));
        assert!(directory.join("server/csr.pem").exists());
    }

    #[test]
    fn what_was_interrupted_goes_on_after_the_mark_and_goes_away_before_it() {
        for (marked, after) in [(true, "new"), (false, "old")] {
            let directory = tempfile::tempdir().unwrap();
            let directory = directory.path();
            journal::install(directory, &files("old")).unwrap();
            let staged = directory.join(if marked { COMMITTED } else { UNFINISHED });
            journal::write_set(&staged, &files("new")).unwrap();
            finish_interrupted(directory).unwrap();
            assert_eq!(content(directory), expected(after));
            assert!(!directory.join(STAGING).exists());
        }
    }
}
