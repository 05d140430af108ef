//! The steps: what a plan prints is the list that an apply makes, and README.md documents every op.

#![allow(clippy::unwrap_used)]

use clap::Parser;
use dind_contract::step::{Step, planned};
use dind_storage::cli::{Cli, Verb};
use dind_storage::facts::observe;
use dind_storage::image::create::NewImage;
use dind_storage::image::superblock::Filesystem;
use dind_storage::options::Options;
use dind_storage::seed::options::SeedOptions;
use dind_storage::{plan, release};
use dind_system::Root;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const README: &str = include_str!("../README.md");

/// The document and the list that an apply of the same machine would go through, for every captured machine with a plan.
fn plans() -> Vec<(PathBuf, Value, Vec<plan::step::Step>)> {
    let cases = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases")).unwrap();
    cases.filter_map(|case| plan_of(&case.unwrap().path())).collect()
}

fn plan_of(case: &Path) -> Option<(PathBuf, Value, Vec<plan::step::Step>)> {
    let document: Value =
        serde_json::from_str(&fs::read_to_string(case.join("expected.json")).unwrap()).unwrap();
    let words = fs::read_to_string(case.join("args")).unwrap();
    let (variables, args): (Vec<_>, Vec<_>) =
        words.split_whitespace().partition(|word| word.contains('=') && !word.starts_with('-'));
    let cli = Cli::try_parse_from(["dind-storage"].iter().chain(&args)).unwrap();
    let Verb::Plan { mut texts, .. } = cli.verb else { return None };
    if document["ok"] != true {
        return None;
    }
    for (name, value) in variables.iter().filter_map(|variable| variable.split_once('=')) {
        let text = match name {
            "DIND_DATA_ROOT" => &mut texts.data_root,
            "DIND_STORAGE_IMAGE" => &mut texts.image,
            "VAR_LIB_DOCKER_SIZE" => &mut texts.size,
            "DIND_STORAGE_DRIVER" => &mut texts.driver,
            "DIND_STORAGE_STORE" => &mut texts.store,
            "DIND_ENGINE_VERSION" => &mut texts.engine_version,
            "DIND_STORAGE_BACKING" => &mut texts.backing,
            "DIND_STORAGE_FS" => &mut texts.filesystem,
            "DIND_STORAGE_SPARSE" => &mut texts.sparse,
            "DIND_STORAGE_SEED" => &mut texts.seed,
            "DIND_STORAGE_SEED_RESTORE" => &mut texts.seed_restore,
            "DIND_STORAGE_SEED_MISSING" => &mut texts.seed_missing,
            "DIND_STORAGE_IMAGE_FROM" => &mut texts.image_from,
            _ => panic!("{name}"),
        };
        *text = Some(value.to_owned());
    }
    let options = Options::parse(&texts).unwrap();
    let facts = observe(&Root::at(case.join("root")), &options).unwrap();
    Some((case.to_owned(), document, plan::decide(&facts, &options).unwrap().steps))
}

#[test]
fn a_plan_prints_the_list_that_an_apply_makes() {
    let mut ops = BTreeSet::new();
    for (case, document, steps) in plans() {
        assert_eq!(document["steps"], json!(planned(&steps).0), "{}", case.display());
        ops.extend(steps.iter().map(Step::op));
    }
    // A case for every step, so that the comparison above means something.
    let known: BTreeSet<_> = apply_steps().iter().map(Step::op).collect();
    assert_eq!(ops, known);
}

#[test]
fn steps_come_in_an_order_in_which_they_can_be_made() {
    for (case, _, steps) in plans() {
        let position = |op: &str| steps.iter().position(|step| step.op() == op);
        let order = [
            "make-image",
            "check-image",
            "grow-image",
            "make-loop-node",
            "attach-image",
            "stop-propagation",
            "mount-image",
            "remove-engine-id",
            "adjust-reserve",
            "name-node",
            "attach-seed",
            "merge-seeds",
            "bind-seeds",
        ];
        let found: Vec<_> = order.iter().filter_map(|op| position(op)).collect();
        assert!(found.is_sorted(), "{}: {steps:?}", case.display());
        let directories: Vec<_> = steps.iter().filter(|step| step.op() == "make-directory").collect();
        let distinct: BTreeSet<_> = directories.iter().map(|step| step.target()).collect();
        assert_eq!(distinct.len(), directories.len(), "{}: {steps:?}", case.display());
    }
}

#[test]
fn every_op_is_documented_and_no_other() {
    let apply = apply_steps().iter().map(Step::op).collect::<Vec<_>>();
    let release = release_steps().iter().map(Step::op).collect::<Vec<_>>();
    let seal = [dind_storage::seal::OP];
    let known: BTreeSet<_> = apply.into_iter().chain(release).chain(seal).map(str::to_owned).collect();
    let table = README.lines().skip_while(|line| !line.starts_with("| op |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let listed: Vec<_> = rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(listed.len(), known.len(), "one is listed twice");
}

/// One of each. A new variant does not compile until it is added here.
fn apply_steps() -> Vec<plan::step::Step> {
    use plan::step::Step::{self, *};
    let path = || PathBuf::from("/data/docker");
    let new = NewImage { size: 1, filesystem: Filesystem::Ext4, sparse: false, from: None };
    let next = |step: &Step| match step {
        MakeDirectory(_) => Some(MakeImage { image: path(), new: Some(new.clone()) }),
        MakeImage { .. } => Some(CheckImage { image: path() }),
        CheckImage { .. } => Some(GrowImage { image: path(), size: 1, mounted: false }),
        GrowImage { .. } => Some(MakeLoopNode),
        MakeLoopNode => Some(AttachImage { image: path() }),
        AttachImage { .. } => Some(StopPropagation { point: path() }),
        StopPropagation { .. } => Some(MountImage { target: path(), mounted: false, grows: false }),
        MountImage { .. } => Some(RemoveEngineId { data_root: path() }),
        RemoveEngineId { .. } => Some(AdjustReserve { data_root: path(), holds: false }),
        AdjustReserve { .. } => Some(NameNode { data_root: path(), name: String::new(), named: false }),
        NameNode { .. } => Some(AttachSeed { seed: path(), data_root: path(), attached: false }),
        AttachSeed { .. } => {
            Some(MergeSeeds { data_root: path(), options: SeedOptions::default(), merged: false })
        }
        MergeSeeds { .. } => {
            Some(BindSeeds { data_root: path(), options: SeedOptions::default(), bound: false })
        }
        BindSeeds { .. } => None,
    };
    std::iter::successors(Some(MakeDirectory(path())), next).collect()
}

/// One of each, as above.
fn release_steps() -> Vec<release::steps::Step> {
    use release::steps::Step::{self, *};
    let path = || PathBuf::from("/data/docker");
    let next = |step: &Step| match step {
        RemoveRemains { .. } => Some(UnbindSeeds { data_root: path(), points: Vec::new() }),
        UnbindSeeds { .. } => Some(DetachSeed { point: path() }),
        DetachSeed { .. } => Some(Unmount(path())),
        Unmount(_) => Some(TrimImage { point: path(), size: 1 }),
        TrimImage { .. } => Some(UnmountImage { point: path() }),
        UnmountImage { .. } => Some(DetachImage { device: path() }),
        DetachImage { .. } => None,
    };
    std::iter::successors(Some(RemoveRemains { image: path() }), next).collect()
}
