//! Decisions about images that are there, from facts made by hand: captured machines hold no large files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_storage::cli::Wanted;
use dind_storage::document::{Health, ProbeSource, Space};
use dind_storage::facts::{Facts, Folder, Mounted};
use dind_storage::image::Found;
use dind_storage::mounts::Mount;
use dind_storage::options::Options;
use dind_storage::plan::{LoopWork, decide};
use dind_storage::probe::Verdict;
use dind_storage::superblock::{Dirty, LABEL, Superblock};
use std::path::PathBuf;

const MIB: u64 = 1 << 20;

/// A container on its own overlay, with an image in a volume.
fn facts(found: Found) -> Facts {
    let folder = |path: &str, kind: &str| Folder {
        path: PathBuf::from(path),
        mount: Mount {
            device: (8, 1),
            point: PathBuf::from("/"),
            read_only: false,
            shared: false,
            kind: kind.to_owned(),
            source: kind.to_owned(),
        },
        empty: true,
        space: Some(Space {
            total_bytes: 9 << 30,
            used_bytes: 1 << 30,
            available_bytes: 8 << 30,
            needed_bytes: 0,
        }),
    };
    Facts {
        kernel: ["ext4", "overlay"].map(str::to_owned).into(),
        data_root: folder("/var/lib/docker", "overlay"),
        overlay: Verdict::Fails("mounting overlay fails".to_owned()),
        probe: ProbeSource::Run,
        fuse: false,
        health: Health { read_only: false, errors: None },
        mounted: None,
        grows_mounted_ext4: false,
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
            dirty: Dirty::No,
            slack: 9 * MIB,
            tables: 80 * MIB,
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
        // What is left over behind the last group is no such thing.
        (5128, 5120, None, None),
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
    let mut dirty = found(5120, 5120);
    dirty.superblock.dirty = Dirty::Check;
    assert!(work(dirty.clone(), None).check);
    dirty.superblock.dirty = Dirty::Journal;
    assert!(!work(dirty, None).check, "the kernel replays a journal");
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
    full.image_folder.space =
        Some(Space { total_bytes: 9 << 30, used_bytes: 1 << 30, available_bytes: 0, needed_bytes: 0 });
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

#[test]
fn a_mounted_image_grows_where_the_kernel_lets_us_and_waits_where_not() {
    let mut machine = facts(found(5120, 5120));
    machine.data_root.mount.device = (7, 3);
    machine.mounted = Some(Mounted { number: 3, mount: machine.data_root.mount.clone(), backing: None });
    for (filesystem, allowed, grow) in
        [("ext4", false, None), ("ext4", true, Some(6 << 30)), ("xfs", false, Some(6 << 30))]
    {
        machine.grows_mounted_ext4 = allowed;
        machine.image.as_mut().unwrap().as_mut().unwrap().superblock.filesystem = filesystem;
        let plan = decide(&machine, &options(Some("6"))).unwrap();
        assert_eq!(plan.work.unwrap().grow, grow, "{filesystem} {allowed}");
        assert_eq!(plan.warnings.iter().any(|warning| warning.code == "grow-deferred"), grow.is_none());
    }
}

#[test]
fn another_image_on_the_data_root_is_not_covered() {
    let mut machine = facts(found(5120, 5120));
    machine.data_root.mount.device = (7, 3);
    machine.data_root.mount.point = machine.data_root.path.clone();
    let options = Options::read(&Wanted { backing: Some("loop".to_owned()), ..Wanted::default() }).unwrap();
    assert_eq!(decide(&machine, &options).unwrap_err().code.name, "data-root-mounted");
}

#[test]
fn holes_in_the_inode_tables_do_not_make_an_image_sparse() {
    for (allocated_mib, sparse) in [(5120, false), (5120 - 80, false), (5120 - 100, true), (20, true)] {
        let image = Found { allocated: allocated_mib * MIB, ..found(5120, 5120) };
        assert_eq!(image.is_sparse(), sparse, "{allocated_mib}");
    }
}
