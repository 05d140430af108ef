//! A larger size.

use crate::machine::{Machine, document, fails, run, steps, succeeds};
use crate::strace::Strace;
use dind_system::{Root, proc};
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

/// The steps of an apply of an image that needs nothing.
const AS_IT_IS: [&str; 5] = [
    "make-image:skipped",
    "attach-image:done",
    "mount-image:done",
    "adjust-reserve:skipped",
    "merge-seeds:skipped",
];

/// A capability's number (linux/capability.h); ext4 asks for it before it grows while it is mounted.
const SYS_RESOURCE: u32 = 24;

#[test]
fn an_equal_size_does_nothing_and_a_smaller_one_is_refused() {
    let machine = Machine::new();
    machine.apply();
    machine.release();
    let before = fs::metadata(machine.image()).unwrap().len();
    let equal = succeeds(&mut sized(&machine, "apply", "64MiB"));
    assert_eq!(steps(&equal), AS_IT_IS);
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
        assert_eq!(steps(&again), AS_IT_IS, "{size}");
        machine.release();
    }
    machine.assert_clean();
}

#[test]
fn without_the_capability_a_mounted_ext4_grows_at_the_next_start() {
    let machine = Machine::new();
    machine.apply();
    let mut without = Command::new("setpriv");
    without.args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]);
    without.arg(bin("dind-storage")).arg("apply");
    machine.environment(&mut without);
    let waits = succeeds(without.env("VAR_LIB_DOCKER_SIZE", "128MiB"));
    assert_eq!(waits["warnings"][0]["code"], "grow-deferred");
    assert_eq!(steps(&waits), ["mount-image:skipped", "adjust-reserve:skipped"]);
    assert_eq!((&waits["changed"], fs::metadata(machine.image()).unwrap().len()), (&false.into(), 64 << 20));
    machine.release();
    let grown = succeeds(&mut sized(&machine, "apply", "128MiB"));
    assert_eq!(steps(&grown)[1], "grow-image:done");
    assert!(room(&machine.root()) > 100 << 20);
    machine.release();
    machine.assert_clean();
}

#[test]
fn with_the_capability_a_mounted_ext4_grows_at_once() {
    let machine = Machine::new();
    let device = machine.apply()["result"]["image"]["device"].as_str().unwrap().to_owned();
    let grown = if proc::status(&Root::default()).unwrap().can(SYS_RESOURCE) {
        let grown = succeeds(&mut sized(&machine, "apply", "128MiB"));
        assert!(room(&machine.root()) > 100 << 20);
        grown
    } else {
        as_if_with_the_capability(&machine)
    };
    assert_eq!(steps(&grown), ["grow-image:done", "mount-image:skipped", "adjust-reserve:skipped"]);
    assert_eq!(grown["warnings"], Value::Array(vec![]));
    assert_eq!(fs::metadata(machine.image()).unwrap().len(), 128 << 20);
    let sectors = format!("/sys/block/{}/size", device.trim_start_matches("/dev/"));
    assert_eq!(fs::read_to_string(sectors).unwrap().trim(), (128_u64 << 20 >> 9).to_string());
    machine.release();
    succeeds(&mut sized(&machine, "apply", "128MiB"));
    assert!(room(&machine.root()) > 100 << 20);
    machine.release();
    machine.assert_clean();
}

/// On a machine without the capability: a user namespace says that we have it, and strace answers in the place of the kernel,
/// which would know better, that the file system has grown. All the rest is real; and as the file system is now shorter than
/// its file, the next start finishes the work.
fn as_if_with_the_capability(machine: &Machine) -> Value {
    let pretended = || Strace::of("ioctl").through(&["unshare", "--user", "--map-root-user"]).size("128MiB");
    let (output, log) = pretended().apply(machine);
    let refused = document(&output);
    assert_eq!(steps(&refused), ["grow-image:skipped", "mount-image:skipped", "adjust-reserve:skipped"]);
    assert_eq!(refused["warnings"][0]["code"], "grow-deferred");
    // EXT4_IOC_RESIZE_FS is called twice: to see whether it may be, and, after LOOP_SET_CAPACITY, to grow.
    let calls = log.lines().filter(|line| line.contains("ioctl(")).take_while(|line| !line.contains("EPERM"));
    let first = calls.count() + 1;
    let (output, log) = pretended().inject(&format!("retval=0:when={first}..{}+2", first + 2)).apply(machine);
    assert_eq!(log.matches("(INJECTED)").count(), 2, "{log}");
    document(&output)
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
    assert_eq!(steps(&apply("512MiB")), ["grow-image:done", "mount-image:skipped", "adjust-reserve:skipped"]);
    assert!(room(&machine.root()) > 400 << 20);
    assert_eq!(steps(&apply("512MiB")), ["mount-image:skipped", "adjust-reserve:skipped"]);
    machine.release();
    assert_eq!(steps(&apply("640MiB"))[1], "grow-image:done");
    assert!(room(&machine.root()) > 540 << 20);
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
    assert_eq!(steps(&machine.release())[0], "trim-image:done");
    machine.assert_clean();
}
