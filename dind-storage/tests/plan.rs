//! Decisions about images that exist, from facts made by hand: captured machines hold no large files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_storage::cli::Texts;
use dind_storage::facts::Facts;
use dind_storage::facts::content::Content;
use dind_storage::facts::directory::Directory;
use dind_storage::facts::mounts::MountedImage;
use dind_storage::facts::occupant::Occupant;
use dind_storage::facts::overlay_probe::Verdict;
use dind_storage::image::inspect::ImageInfo;
use dind_storage::image::superblock::{Dirty, Filesystem, LABEL, Superblock};
use dind_storage::options::Options;
use dind_storage::plan::decide;
use dind_storage::plan::step::Step;
use dind_storage::report::{Health, ProbeSource, Space};
use dind_storage::seed::facts::SeedFacts;
use dind_system::EngineVersion;
use dind_system::proc::Mount;
use std::path::PathBuf;

const MIB: u64 = 1 << 20;

/// A container on its own overlay, with an image in a volume.
fn facts(image: ImageInfo) -> Facts {
    let directory = |path: &str, kind: &str| Directory {
        path: PathBuf::from(path),
        mount: Mount {
            device: (8, 1),
            root: PathBuf::from("/"),
            point: PathBuf::from("/"),
            read_only: false,
            flags: Vec::new(),
            filesystem_read_only: false,
            shared: false,
            kind: kind.to_owned(),
            source: kind.to_owned(),
            options: Vec::new(),
        },
        empty: true,
        missing: Vec::new(),
        space: Some(Space {
            total_bytes: 9 << 30,
            used_bytes: 1 << 30,
            available_bytes: 8 << 30,
            ..Space::default()
        }),
    };
    Facts {
        kernel: ["ext4", "overlay"].map(str::to_owned).into(),
        data_root: directory("/var/lib/docker", "overlay"),
        occupant: Occupant::default(),
        content: Content::default(),
        engine: EngineVersion::Unknown,
        reserve: 0,
        golden: None,
        no_tool: None,
        seeds: Ok(SeedFacts::default()),
        overlay: Verdict::Fails("mounting overlay fails".to_owned()),
        probe: ProbeSource::Run,
        fuse: false,
        in_user_namespace: false,
        health: Health { read_only: false, errors: None },
        mounted: None,
        grows_mounted_ext4: false,
        image: Some(Ok(image)),
        image_directory: directory("/data", "ext4"),
        loop_node_missing: false,
    }
}

fn image(file_mib: u64, filesystem_mib: u64) -> ImageInfo {
    ImageInfo {
        size: file_mib * MIB,
        allocated: file_mib * MIB,
        sector: 0,
        superblock: Superblock {
            filesystem: Filesystem::Ext4,
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
    Options::parse(&Texts { size: size.map(str::to_owned), ..Texts::default() }).unwrap()
}

fn steps(image: ImageInfo, size: Option<&str>) -> Vec<Step> {
    decide(&facts(image), &options(size)).unwrap().steps
}

/// The new size, where the steps have one.
fn new_size(steps: &[Step]) -> Option<u64> {
    steps.iter().find_map(|step| match step {
        Step::GrowImage { size, .. } => Some(*size),
        _ => None,
    })
}

fn has_check(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::CheckImage { .. }))
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
        assert_eq!(new_size(&steps(image(file, filesystem), size)), grow, "{file} {filesystem} {size:?}");
    }
}

#[test]
fn an_image_never_shrinks() {
    let fault = decide(&facts(image(5120, 5120)), &options(Some("4"))).unwrap_err();
    assert_eq!((fault.code.name, fault.code.exit as u8), ("size-shrinks", 78));
    assert!(fault.message.contains("5368709120") && fault.message.contains("4294967296"), "{fault}");
}

#[test]
fn only_an_image_with_errors_is_checked() {
    let mut broken = image(5120, 5120);
    broken.superblock.errors = true;
    assert!(has_check(&steps(broken, None)));
    let mut dirty = image(5120, 5120);
    dirty.superblock.dirty = Dirty::Check;
    assert!(has_check(&steps(dirty.clone(), None)));
    dirty.superblock.dirty = Dirty::Journal;
    assert!(!has_check(&steps(dirty, None)), "the kernel replays a journal");
    assert!(!has_check(&steps(image(5120, 5120), None)));
}

#[test]
fn an_image_keeps_its_file_system() {
    let texts = Texts { filesystem: Some("xfs".to_owned()), ..Texts::default() };
    let plan = decide(&facts(image(5120, 5120)), &Options::parse(&texts).unwrap()).unwrap();
    assert_eq!(plan.storage.filesystem, "ext4");
    assert_eq!(plan.warnings[0].code, "filesystem-kept");
}

#[test]
fn an_existing_image_needs_no_space() {
    let mut full = facts(image(5120, 5120));
    full.image_directory.space =
        Some(Space { total_bytes: 9 << 30, used_bytes: 1 << 30, available_bytes: 0, ..Space::default() });
    assert!(decide(&full, &options(None)).is_ok());
    full.image = None;
    assert_eq!(decide(&full, &options(None)).unwrap_err().code.name, "space-short");
}

#[test]
fn a_data_root_that_leads_to_a_system_directory_is_refused() {
    let mut astray = facts(image(5120, 5120));
    astray.data_root.path = PathBuf::from("/etc/docker");
    assert_eq!(decide(&astray, &options(None)).unwrap_err().code.name, "data-root-unsafe");
}

#[test]
fn a_mounted_image_grows_where_the_kernel_lets_us_and_waits_where_not() {
    let mut machine = facts(image(5120, 5120));
    machine.data_root.mount.device = (7, 3);
    machine.mounted = Some(MountedImage { number: 3, mount: machine.data_root.mount.clone(), backing: None });
    for (filesystem, allowed, grow) in [
        (Filesystem::Ext4, false, None),
        (Filesystem::Ext4, true, Some(6 << 30)),
        (Filesystem::Xfs, false, Some(6 << 30)),
    ] {
        machine.grows_mounted_ext4 = allowed;
        machine.image.as_mut().unwrap().as_mut().unwrap().superblock.filesystem = filesystem;
        let plan = decide(&machine, &options(Some("6"))).unwrap();
        assert_eq!(new_size(&plan.steps), grow, "{filesystem:?} {allowed}");
        assert_eq!(plan.warnings.iter().any(|warning| warning.code == "grow-deferred"), grow.is_none());
    }
}

#[test]
fn another_image_on_the_data_root_is_not_covered() {
    let mut machine = facts(image(5120, 5120));
    machine.data_root.mount.device = (7, 3);
    machine.data_root.mount.point = machine.data_root.path.clone();
    let options = Options::parse(&Texts { backing: Some("loop".to_owned()), ..Texts::default() }).unwrap();
    assert_eq!(decide(&machine, &options).unwrap_err().code.name, "data-root-mounted");
}

#[test]
fn holes_in_the_inode_tables_do_not_make_an_image_sparse() {
    for (allocated_mib, sparse) in [(5120, false), (5120 - 80, false), (5120 - 100, true), (20, true)] {
        let image = ImageInfo { allocated: allocated_mib * MIB, ..image(5120, 5120) };
        assert_eq!(image.is_sparse(), sparse, "{allocated_mib}");
    }
}

#[test]
fn an_xfs_grows_when_it_is_mounted() {
    let mut xfs = image(5120, 5120);
    xfs.superblock.filesystem = Filesystem::Xfs;
    for (size, expected) in [(None, false), (Some("6"), true)] {
        let steps = steps(xfs.clone(), size);
        let grown = |step: &Step| matches!(step, Step::MountImage { grows, .. } if *grows == expected);
        assert!(steps.iter().any(grown), "{steps:?}");
    }
}

#[test]
fn a_directory_above_both_is_made_once() {
    let mut machine = facts(image(5120, 5120));
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    machine.image = None;
    machine.image_directory.missing = paths(&["/srv", "/srv/images"]);
    machine.data_root.missing = paths(&["/srv", "/srv/docker"]);
    let steps = decide(&machine, &options(None)).unwrap().steps;
    let made: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::MakeDirectory(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(made, paths(&["/srv", "/srv/images", "/srv/docker"]));
}
