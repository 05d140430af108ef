//! Decisions about images that are there, from facts made by hand: captured machines hold no large files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_storage::cli::Wanted;
use dind_storage::document::{ProbeSource, Space};
use dind_storage::facts::{Facts, Folder};
use dind_storage::image::Found;
use dind_storage::mounts::Mount;
use dind_storage::options::Options;
use dind_storage::plan::{LoopWork, decide};
use dind_storage::probe::Verdict;
use dind_storage::superblock::{LABEL, Superblock};
use std::path::PathBuf;

const MIB: u64 = 1 << 20;

/// A container on its own overlay, with an image in a volume.
fn facts(found: Found) -> Facts {
    let folder = |path: &str, kind: &str| Folder {
        path: PathBuf::from(path),
        mount: Mount {
            device: (8, 1),
            point: PathBuf::from("/"),
            shared: false,
            kind: kind.to_owned(),
            source: kind.to_owned(),
        },
        empty: true,
        space: Some(Space { total_bytes: 9 << 30, available_bytes: 8 << 30, needed_bytes: 0 }),
    };
    Facts {
        kernel: ["ext4", "overlay"].map(str::to_owned).into(),
        data_root: folder("/var/lib/docker", "overlay"),
        overlay: Verdict::Fails("mounting overlay fails".to_owned()),
        probe: ProbeSource::Run,
        fuse: false,
        mounted: None,
        image: Some(Ok(found)),
        image_folder: folder("/data", "ext4"),
    }
}

fn found(file_mib: u64, filesystem_mib: u64) -> Found {
    Found {
        size: file_mib * MIB,
        allocated: file_mib * MIB,
        superblock: Superblock {
            filesystem: "ext4",
            label: LABEL.to_owned(),
            bytes: filesystem_mib * MIB,
            errors: false,
        },
    }
}

fn options(size: Option<&str>) -> Options {
    Options::read(&Wanted { size: size.map(str::to_owned), ..Wanted::default() }).unwrap()
}

fn work(found: Found, size: Option<&str>) -> LoopWork {
    decide(&facts(found), &options(size)).unwrap().work.unwrap()
}

#[test]
fn an_image_grows_on_request_only() {
    for (file, filesystem, size, grow) in [
        (5120, 5120, None, None),
        (64, 64, None, None),
        (5120, 5120, Some("5"), None),
        (5120, 5120, Some("6"), Some(6 << 30)),
        // A grow that was cut off between the file and the file system is finished, asked for or not.
        (6144, 5120, None, Some(6 << 30)),
        (6144, 5120, Some("6"), Some(6 << 30)),
        (6144, 5120, Some("7"), Some(7 << 30)),
    ] {
        assert_eq!(work(found(file, filesystem), size).grow, grow, "{file} {filesystem} {size:?}");
    }
}

#[test]
fn an_image_never_shrinks() {
    let fault = decide(&facts(found(5120, 5120)), &options(Some("4"))).unwrap_err();
    assert_eq!((fault.code.name, fault.code.exit as u8), ("size-shrinks", 78));
    assert!(fault.message.contains("5368709120") && fault.message.contains("4294967296"), "{fault}");
}

#[test]
fn only_an_image_with_errors_is_checked() {
    let mut broken = found(5120, 5120);
    broken.superblock.errors = true;
    assert!(work(broken, None).check);
    assert!(!work(found(5120, 5120), None).check);
}

#[test]
fn an_image_keeps_its_file_system() {
    let wanted = Wanted { filesystem: Some("xfs".to_owned()), ..Wanted::default() };
    let plan = decide(&facts(found(5120, 5120)), &Options::read(&wanted).unwrap()).unwrap();
    assert_eq!(plan.storage.filesystem, "ext4");
    assert_eq!(plan.warnings[0].code, "filesystem-kept");
}

#[test]
fn an_image_that_is_there_needs_no_space() {
    let mut full = facts(found(5120, 5120));
    full.image_folder.space = Some(Space { total_bytes: 9 << 30, available_bytes: 0, needed_bytes: 0 });
    assert!(decide(&full, &options(None)).is_ok());
    full.image = None;
    assert_eq!(decide(&full, &options(None)).unwrap_err().code.name, "space-short");
}

#[test]
fn a_data_root_that_leads_to_a_system_folder_is_refused() {
    let mut astray = facts(found(5120, 5120));
    astray.data_root.path = PathBuf::from("/etc/docker");
    assert_eq!(decide(&astray, &options(None)).unwrap_err().code.name, "data-root-unsafe");
}
