//! An apply with seeds that is killed, or meets an error, at each of its system calls.

use super::host::{Golden, Host};
use crate::machine::{document, steps};
use crate::strace::{Strace, is_injected};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The calls that change something.
const CHANGES: &[&str] = &[
    "mkdir",
    "rename",
    "unlink",
    "rmdir",
    "symlink",
    "linkat",
    "write",
    "fsync",
    "copy_file_range",
    "open_tree",
    "mount_setattr",
    "move_mount",
    "umount2",
];

/// Those that look.
const LOOKS: &[&str] = &["openat", "getdents64", "flock", "readlink", "statx"];

/// What the sweeps go through: what was applied before, and what then.
struct Scenario {
    host: Host,
    golden: Golden,
    before: Vec<PathBuf>,
    seeds: Vec<PathBuf>,
    /// Whether something of the user's own was made between them.
    own: bool,
    /// The tree of an apply that nothing happened to.
    expected: BTreeMap<PathBuf, String>,
    images: usize,
}

impl Scenario {
    fn new(before: &[&[&str]], seeds: &[&[&str]], own: bool) -> Self {
        let host = Host::native();
        let golden = host.golden("golden");
        let seal = |(number, images): (usize, &&[&str])| {
            let flags: Vec<_> = images.iter().flat_map(|image| ["--images", image]).collect();
            host.seal(&golden, &format!("seed{number}"), &flags)
        };
        let before: Vec<_> = before.iter().enumerate().map(seal).collect();
        let seeds: Vec<_> =
            seeds.iter().enumerate().map(|(number, images)| seal((number + 10, images))).collect();
        let mut scenario = Self { host, golden, before, seeds, own, expected: BTreeMap::new(), images: 0 };
        scenario.prepare();
        scenario.apply();
        scenario.expected = scenario.host.tree();
        scenario.images = scenario.host.images().len();
        scenario
    }

    /// A data root as it was before the apply.
    fn prepare(&self) {
        let host = &self.host;
        host.renew();
        if !self.before.is_empty() {
            host.apply(&paths(&self.before));
            if self.own {
                let root = host.data_root("own");
                let fill = |diff: &Path| fs::write(diff.join("own"), "of own").unwrap();
                let layer = root.layer(Some(&self.golden.app), "own", fill);
                let id = root.image(&["mine:1"], Some(&layer));
                root.image_metadata(&id, "parent", "sha256:x");
                host.container("container", &layer);
            }
            host.release();
        }
    }

    fn apply(&self) -> serde_json::Value {
        let mut command = self.host.storage("apply", &paths(&self.seeds));
        crate::machine::succeeds(command.env("DIND_STORAGE_SEED_MISSING", "set-aside"))
    }

    /// Runs the apply again and again, with a fault at the first, second, … of each call. Returns the number of faults.
    fn sweep(&self, calls: &[&str], fault: &str, check: impl Fn(&Output)) -> usize {
        let mut rounds = 0;
        for call in calls {
            for round in 1.. {
                self.prepare();
                let strace = Strace::of(call).inject(&format!("{fault}:when={round}"));
                let (output, log) = self.host.traced(&strace, &paths(&self.seeds));
                if !is_injected(&log) {
                    assert!(output.status.success(), "{output:?}");
                    break;
                }
                check(&output);
                rounds += 1;
            }
        }
        rounds
    }

    fn same(&self, expected: &BTreeMap<PathBuf, String>, why: &dyn std::fmt::Display) {
        let now = self.host.tree();
        let paths = now.keys().chain(expected.keys());
        let differ: Vec<_> = paths.filter(|path| now.get(*path) != expected.get(*path)).collect();
        let texts = |of: &BTreeMap<PathBuf, String>| {
            differ.iter().map(|path| of.get(*path).cloned()).collect::<Vec<_>>()
        };
        assert!(
            differ.is_empty(),
            "{differ:?}\n{:?}\nis expected to be\n{:?}\n{why}",
            texts(&now),
            texts(expected)
        );
    }

    fn kills(&self, least: usize) {
        let rounds = self.sweep(CHANGES, "signal=SIGKILL", |_| {
            self.apply();
            assert_eq!(self.host.images().len(), self.images);
            self.same(&self.expected, &"");
            assert_eq!(self.apply()["changed"], false);
        });
        assert!(rounds > least, "only {rounds} places were tried");
    }

    fn errors(&self, error: &str, least: usize) {
        let calls = [CHANGES, LOOKS].concat();
        self.prepare();
        let before = self.host.tree();
        let rounds = self.sweep(&calls, &format!("error={error}"), |output| {
            if output.stdout.is_empty() {
                // It was the document that could not be written.
                self.same(&self.expected, &"");
                return;
            }
            let document = document(output);
            if output.status.success() {
                // What is missing may be missing, and the old mount call can stand in for the new ones.
                // What could not be removed is removed by the next.
                self.apply();
                self.same(&self.expected, &document);
                assert_eq!(self.host.images().len(), self.images);
                return;
            }
            assert_ne!(document["error"]["hint"], "", "{document}");
            let of_seeds = |step: &String| step.contains("seeds:");
            assert!(
                !steps(&document).iter().filter(|step| of_seeds(step)).any(|step| step.ends_with(":done")),
                "{document}"
            );
            self.same(&before, &document);
            assert_eq!(self.host.binds().len(), 0, "{document}");
        });
        assert!(rounds > least, "only {rounds} places were tried with {error}");
    }
}

fn paths(seeds: &[PathBuf]) -> Vec<&Path> {
    seeds.iter().map(PathBuf::as_path).collect()
}

const ALL: &[&str] = &[];
const BASE: &[&str] = &["debian:12"];

fn first_merge() -> Scenario {
    Scenario::new(&[], &[ALL], false)
}

fn later_start() -> Scenario {
    Scenario::new(&[ALL], &[ALL], true)
}

/// The image that the user's own one was made from goes; that and its container are set aside.
fn smaller_seed() -> Scenario {
    Scenario::new(&[ALL], &[BASE], true)
}

/// The layers come from another seed, and one more image.
fn larger_seed() -> Scenario {
    Scenario::new(&[BASE], &[ALL, BASE], false)
}

fn no_seed() -> Scenario {
    Scenario::new(&[ALL], &[], true)
}

#[test]
fn after_a_kill_at_any_call_of_a_first_merge_the_next_apply_converges() {
    first_merge().kills(60);
}

#[test]
fn after_a_kill_at_any_call_of_a_later_start_the_next_apply_converges() {
    later_start().kills(3);
}

#[test]
fn after_a_kill_at_any_call_with_a_smaller_seed_the_next_apply_converges() {
    smaller_seed().kills(30);
}

#[test]
fn after_a_kill_at_any_call_with_a_larger_seed_the_next_apply_converges() {
    larger_seed().kills(40);
}

#[test]
fn after_a_kill_at_any_call_without_the_seed_the_next_apply_converges() {
    no_seed().kills(30);
}

#[test]
fn eio_at_any_call_with_a_seed_leaves_what_was_there() {
    first_merge().errors("EIO", 100);
}

#[test]
fn enospc_at_any_call_with_a_seed_leaves_what_was_there() {
    first_merge().errors("ENOSPC", 100);
}

#[test]
fn eperm_at_any_call_with_a_seed_leaves_what_was_there() {
    first_merge().errors("EPERM", 100);
}

#[test]
fn eio_at_any_call_with_a_smaller_seed_leaves_what_was_there() {
    smaller_seed().errors("EIO", 100);
}
