//! The archive, the programs, and what is written of their parts.

use crate::{TOOLS, below, directory, file};
use dind_tests::outer::run;
use dind_tests::scratch;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The archive, unpacked; and its one directory.
fn unpacked() -> (tempfile::TempDir, std::path::PathBuf) {
    let place = scratch();
    let archive = file(".tar.gz");
    run(
        "tar",
        &["--extract", "--file", archive.to_str().unwrap(), "--directory", place.path().to_str().unwrap()],
    )
    .ok();
    let name = archive.file_name().unwrap().to_string_lossy().replace(".tar.gz", "");
    let directory = place.path().join(name);
    (place, directory)
}

#[test]
fn the_archive_has_the_same_files_as_the_directory() {
    let (_place, unpacked) = unpacked();
    for part in ["bin", "man", "completions", "licenses"] {
        let names = below(&unpacked.join(part));
        assert_eq!(names, below(&directory().join(part)), "{part}");
        assert!(!names.is_empty(), "{part}");
        for name in names {
            let same = [unpacked.join(part), directory().join(part)]
                .map(|place| fs::read(place.join(&name)).unwrap());
            assert!(same[0] == same[1], "{part}/{name}");
        }
    }
    for name in ["LICENSE", "share/seccomp.json", "examples/entrypoint/flags.sh", "dind-net.cdx.json"] {
        assert!(unpacked.join(name).is_file(), "{name}");
    }
    let listed =
        run("tar", &["--list", "--verbose", "--numeric-owner", "--file", file(".tar.gz").to_str().unwrap()])
            .ok();
    let fields: BTreeSet<_> =
        listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()[1].to_owned()).collect();
    assert_eq!(fields, ["0/0".to_owned()].into(), "{listed}");
    let names: Vec<_> = listed.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert!(names.is_sorted(), "{listed}");
}

#[test]
fn the_programs_of_the_archive_run_and_know_nothing_of_the_machine_that_made_them() {
    let (_place, unpacked) = unpacked();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_string_lossy().into_owned();
    let home = |name| std::env::var(name).ok().filter(|value| value.len() > 1);
    let crates = home("CARGO_HOME").or_else(|| Some(format!("{}/.cargo", home("HOME")?))).unwrap();
    for tool in TOOLS {
        let program = unpacked.join("bin").join(tool);
        let version = run(program.to_str().unwrap(), &["--version"]).ok();
        assert_eq!(version, format!("{tool} {}", env!("CARGO_PKG_VERSION")));
        let bytes = fs::read(&program).unwrap();
        for path in [&checkout, &crates] {
            let found = bytes.windows(path.len()).any(|window| window == path.as_bytes());
            assert!(!found, "{tool} contains {path}");
        }
    }
}

#[test]
fn every_crate_of_the_bills_of_materials_has_its_licence_in_the_archive() {
    let (_place, unpacked) = unpacked();
    let text = fs::read_to_string(unpacked.join("licenses/THIRD-PARTY.txt")).unwrap();
    let (crates, texts) = text.split_once("\nCrates:\n").unwrap().1.split_once("\n----").unwrap();
    let named: BTreeSet<_> =
        crates.lines().filter_map(|line| line.trim().split_once(':')).map(|(name, _)| name).collect();
    for name in &named {
        assert!(texts.contains(name), "{name} has no text");
    }
    let mut linked = BTreeSet::new();
    for tool in TOOLS {
        let bill = fs::read_to_string(unpacked.join(format!("{tool}.cdx.json"))).unwrap();
        assert!(!bill.contains(env!("CARGO_MANIFEST_DIR")), "{tool}");
        let bill: Value = serde_json::from_str(&bill).unwrap();
        for component in bill["components"].as_array().unwrap() {
            let text = |key: &str| component[key].as_str().unwrap().to_owned();
            linked.insert(format!("{} {}", text("name"), text("version")));
        }
    }
    let missing: Vec<_> = named.iter().filter(|name| !linked.contains(**name)).collect();
    assert!(missing.is_empty(), "not in the bills of materials: {missing:?}");
    assert!(named.len() > 80, "{named:?}");
    // Each library that the compiler links is there by name, and has words.
    for line in text.split("Crates:").next().unwrap().lines().filter(|line| line.starts_with("  ")) {
        let name = line.trim().split(':').next().unwrap();
        assert!(fs::metadata(unpacked.join("licenses").join(name)).unwrap().len() > 1000, "{name}");
    }
    let glibc = fs::read_to_string(unpacked.join("licenses/glibc.txt")).unwrap();
    assert!(glibc.contains("LGPL"), "{glibc}");
}

#[test]
fn the_checksums_are_those_of_every_file() {
    let sums = directory().join("SHA256SUMS");
    let text = fs::read_to_string(&sums).unwrap();
    let named: BTreeSet<_> = text.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
    let mut files: BTreeSet<_> = below(&directory()).into_iter().collect();
    assert!(files.remove("SHA256SUMS"));
    assert_eq!(named, files);
    let check = format!("cd {} && sha256sum --check --quiet SHA256SUMS", directory().display());
    run("sh", &["-c", &check]).ok();
}
