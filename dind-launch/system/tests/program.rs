//! Programs are found where execvp(3) would find them.

#![allow(clippy::unwrap_used)]

use dind_system::program::on;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_first_directory_with_an_executable_file_of_the_name_has_the_program() {
    let scratch = tempfile::tempdir().unwrap();
    let make = |directory: &str, mode: u32| {
        let directory = scratch.path().join(directory);
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("tool");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file
    };
    let path = |directories: &[&str]| {
        let all = directories.iter().map(|directory| scratch.path().join(directory).display().to_string());
        all.collect::<Vec<_>>().join(":")
    };
    make("plain", 0o644);
    fs::create_dir_all(scratch.path().join("directory/tool")).unwrap();
    let (first, second) = (make("first", 0o755), make("second", 0o755));
    let all = ["missing", "plain", "directory", "first", "second"];
    assert_eq!(on(&path(&all), "tool").as_deref(), Some(first.as_path()));
    assert_eq!(on(&path(&["second", "first"]), "tool").as_deref(), Some(second.as_path()));
    assert_eq!(on(&path(&all[..3]), "tool"), None);
    assert_eq!(on(&path(&all), "other"), None);
}
