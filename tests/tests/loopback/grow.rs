//! A larger size.

use crate::machine::{Machine, fails, run, steps, succeeds};
use dind_tests::bin;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn sized(machine: &Machine, verb: &str, size: &str) -> Command {
    let mut command = machine.storage(verb);
    command.env("VAR_LIB_DOCKER_SIZE", size);
    command
}

/// How large the file system that is mounted there says it is, in bytes.
fn room(mounted_on: &Path) -> u64 {
    let stat = nix::sys::statvfs::statvfs(mounted_on).unwrap();
    stat.blocks() * stat.fragment_size()
}

/// Whether this process, and so the kernel for its children, may grow an ext4 that is mounted.
fn has_sys_resource() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap().to_owned();
    u64::from_str_radix(&mask, 16).unwrap() >> 24 & 1 == 1
}

#[test]
fn an_equal_size_does_nothing_and_a_smaller_one_is_refused() {
    let machine = Machine::new();
    machine.apply();
    machine.release();
    let before = fs::metadata(machine.image()).unwrap().len();
    let equal = succeeds(&mut sized(&machine, "apply", "64MiB"));
    assert_eq!(steps(&equal), ["make-image:skipped", "attach-image:done", "mount-image:done"]);
    machine.release();
    succeeds(&mut sized(&machine, "apply", "128MiB"));
    machine.release();
    let before_refusal = fs::read(machine.image()).unwrap();
    let refused = fails(&mut sized(&machine, "apply", "64MiB"), "size-shrinks", 78);
    assert!(refused["error"]["message"].as_str().unwrap().contains("134217728"), "{refused}");
    assert!(before_refusal == fs::read(machine.image()).unwrap(), "the refused image was changed");
    assert_eq!(before_refusal.len() as u64, 2 * before);
    machine.assert_clean();
}

#[test]
fn an_unmounted_ext4_grows_and_keeps_its_files_and_its_reservation() {
    let machine = Machine::new();
    machine.apply();
    fs::write(machine.root().join("kept"), "kept").unwrap();
    machine.release();
    let grown = succeeds(&mut sized(&machine, "apply", "320MiB"));
    assert_eq!(steps(&grown)[1], "grow-image:done");
    assert!(room(&machine.root()) > 280 << 20);
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
    let image = fs::metadata(machine.image()).unwrap();
    assert!(std::os::unix::fs::MetadataExt::blocks(&image) * 512 >= 320 << 20, "it became sparse");
    machine.release();
    run("e2fsck", &["-f", "-n", machine.image().to_str().unwrap()]);
    machine.assert_clean();
}

#[test]
fn a_size_that_leaves_a_rest_is_not_grown_again_and_again() {
    let machine = Machine::new();
    for size in ["129MiB", "131MiB", "258MiB"] {
        succeeds(&mut sized(&machine, "apply", size));
        succeeds(&mut sized(&machine, "release", size));
        let again = succeeds(&mut sized(&machine, "apply", size));
        assert_eq!(steps(&again), ["make-image:skipped", "attach-image:done", "mount-image:done"], "{size}");
        machine.release();
    }
    machine.assert_clean();
}

/// ext4 asks for CAP_SYS_RESOURCE. Where the tests have it, both ways are tried, elsewhere the one without.
#[test]
fn a_mounted_ext4_grows_with_the_capability_and_waits_for_the_next_start_without() {
    let machine = Machine::new();
    machine.apply();
    let mut without = Command::new("setpriv");
    without.args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]);
    without.arg(bin("dind-storage")).arg("apply");
    machine.environment(&mut without);
    let waits = succeeds(without.env("VAR_LIB_DOCKER_SIZE", "128MiB"));
    assert_eq!(code(&waits), "grow-deferred");
    assert_eq!((&waits["changed"], fs::metadata(machine.image()).unwrap().len()), (&false.into(), 64 << 20));
    if has_sys_resource() {
        let grown = succeeds(&mut sized(&machine, "apply", "128MiB"));
        assert_eq!(steps(&grown), ["grow-image:done", "mount-image:skipped"]);
    } else {
        machine.release();
        succeeds(&mut sized(&machine, "apply", "128MiB"));
    }
    assert!(room(&machine.root()) > 100 << 20);
    machine.release();
    machine.assert_clean();
}

fn code(document: &Value) -> &str {
    document["warnings"][0]["code"].as_str().unwrap_or_default()
}

#[test]
fn a_mounted_xfs_grows_at_once_and_an_unmounted_one_at_its_next_mount() {
    let machine = Machine::new();
    let apply = |size| {
        let mut command = sized(&machine, "apply", size);
        succeeds(command.env("DIND_STORAGE_FS", "xfs").env("DIND_STORAGE_SPARSE", "true"))
    };
    assert_eq!(apply("320MiB")["result"]["filesystem"], "xfs");
    fs::write(machine.root().join("kept"), "kept").unwrap();
    assert_eq!(steps(&apply("512MiB")), ["grow-image:done", "mount-image:skipped"]);
    assert!(room(&machine.root()) > 400 << 20);
    assert_eq!(steps(&apply("512MiB")), ["mount-image:skipped"]);
    machine.release();
    assert_eq!(steps(&apply("640MiB"))[1], "grow-image:done");
    assert!(room(&machine.root()) > 540 << 20);
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
    assert_eq!(steps(&machine.release())[0], "trim-image:done");
    machine.assert_clean();
}
