//! A first apply that clones, and is killed, or meets an error, at each of its system calls.

use super::{clone, golden, identity};
use crate::machine::{Machine, succeeds};
use crate::sweep::sweep_of;
use std::fs;
use std::path::Path;

/// The calls that change something, or find the way to it, in a first apply that clones.
const CALLS: &[&str] = &[
    "openat",
    "openat2",
    "flock",
    "lseek",
    "fallocate",
    "copy_file_range",
    "pread64",
    "fsync",
    "renameat2",
    "ioctl",
    "mount",
    "unlink",
    "clone,clone3",
    "wait4,waitid",
];

#[test]
fn after_a_kill_at_any_call_the_next_apply_has_a_whole_clone() {
    let rounds = sweep("signal=SIGKILL", |machine, from, _| {
        let again = succeeds(&mut clone(machine, "apply", from));
        assert_eq!((machine.mounts().len(), machine.loops().len()), (1, 1), "{again}");
        assert_eq!(machine.temporaries(), [""; 0]);
        assert_eq!(fs::read(machine.root().join("kept")).unwrap().len(), 400_000);
        machine.release();
        assert_ne!(identity(&machine.image()).0, identity(from).0);
        machine.assert_clean();
    });
    assert!(rounds > 60, "only {rounds} places were tried");
}

#[test]
fn an_error_at_any_call_leaves_no_half_of_a_clone() {
    for error in ["EIO", "ENOSPC"] {
        let rounds = sweep(&format!("error={error}"), |machine, _, succeeded| {
            if succeeded {
                assert_eq!(fs::read(machine.root().join("kept")).unwrap().len(), 400_000);
                machine.release();
                return machine.assert_clean();
            }
            machine.assert_untouched();
        });
        assert!(rounds > 40, "only {rounds} places were tried with {error}");
    }
}

/// Runs a first apply that clones, with a fault at the first, second, … of each call. The golden image stays as it is.
fn sweep(fault: &str, check: impl Fn(&Machine, &Path, bool)) -> usize {
    let machine = Machine::new();
    let from = machine.path("golden/image");
    golden(&machine, &from, &[]);
    let before = fs::read(&from).unwrap();
    sweep_of(
        CALLS,
        fault,
        |strace| strace.size("").from(&from),
        |machine, output| {
            check(machine, &from, output.status.success());
            assert!(fs::read(&from).unwrap() == before, "the golden image was changed");
        },
    )
}
