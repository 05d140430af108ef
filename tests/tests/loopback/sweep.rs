//! A first apply that is killed, or meets an error, at each of its system calls.

use crate::machine::{Machine, document, steps};
use crate::strace::{Strace, is_injected};
use std::fs;
use std::process::Output;

/// The calls that change something, find the way to it, or have to do with the helper that does.
const STORAGE: &[&str] = &[
    "mkdirat",
    "openat",
    "openat2",
    "getdents64",
    "flock",
    "statfs",
    "fstatfs",
    "fallocate",
    "pread64",
    "fsync",
    "renameat2",
    "ioctl",
    "mount",
    "chmod",
    "clone,clone3",
    "wait4,waitid",
];

/// Calls to be killed at, but not to fail: what they close or print has been done by then.
const ENDS: &[&str] = &["poll", "close", "write", "exit_group"];

#[test]
fn after_a_kill_at_any_call_the_next_apply_converges() {
    let calls = [STORAGE, ENDS].concat();
    let rounds = sweep(&calls, "signal=SIGKILL", |machine, output| {
        assert!(machine.loops().len() <= 1);
        // Only the very last calls come after the document.
        assert!(output.stdout.is_empty() || machine.mounts().len() == 1, "{output:?}");
        let again = machine.apply();
        assert_eq!((machine.mounts().len(), machine.loops().len()), (1, 1), "{again}");
        assert_eq!(machine.temporaries(), [""; 0]);
        assert_eq!(fs::read_dir(machine.image().parent().unwrap()).unwrap().count(), 1);
        machine.release();
        machine.assert_clean();
    });
    assert!(rounds > 80, "only {rounds} places were tried");
}

#[test]
fn eio_at_any_call_leaves_what_was_there() {
    errors("EIO");
}

#[test]
fn enospc_at_any_call_leaves_what_was_there() {
    errors("ENOSPC");
}

#[test]
fn eperm_at_any_call_leaves_what_was_there() {
    errors("EPERM");
}

#[test]
fn eintr_at_any_call_leaves_what_was_there() {
    errors("EINTR");
}

fn errors(error: &str) {
    let rounds = sweep(STORAGE, &format!("error={error}"), |machine, output| {
        let document = document(output);
        if output.status.success() {
            // Some calls may fail: those that look for what may be missing, and those that another can stand in for.
            assert_eq!(machine.mounts().len(), 1, "{document}");
            machine.release();
            return machine.assert_clean();
        }
        let message = document["error"]["message"].as_str().unwrap();
        let object = message.strip_prefix("cannot ").and_then(|rest| rest.split('`').nth(1));
        assert!(object.is_some_and(|object| !object.is_empty()) && message.contains("`: "), "{message}");
        assert_ne!(document["error"]["hint"], "", "{document}");
        assert!(steps(&document).iter().all(|step| !step.ends_with(":done")), "{document}");
        machine.assert_untouched();
    });
    assert!(rounds > 40, "only {rounds} places were tried with {error}");
}

#[test]
fn a_helper_that_is_killed_leaves_nothing() {
    for write in 1.. {
        let machine = Machine::new();
        // With -f each process counts its own calls, and of these only mkfs writes to a place in a file.
        let fault = format!("signal=SIGKILL:when={write}");
        let (output, log) = Strace::of("pwrite64").flag("-f").inject(&fault).apply(&machine);
        let document = document(&output);
        if !is_injected(&log) {
            assert!(write > 20, "mkfs has {write} writes only");
            assert!(output.status.success(), "{document}");
            machine.release();
            return machine.assert_clean();
        }
        assert_eq!(
            (&document["error"]["code"], output.status.code()),
            (&"image-not-made".into(), Some(73)),
            "{document}"
        );
        assert!(document["error"]["message"].as_str().unwrap().contains("mkfs.ext4"), "{document}");
        machine.assert_untouched();
    }
}

#[test]
fn without_loop_configure_the_older_calls_attach() {
    let machine = Machine::new();
    // The first ioctl finds a device, the second is LOOP_CONFIGURE, which kernels before 5.8 do not know.
    let (applied, log) = Strace::of("ioctl").inject("error=ENOTTY:when=2").apply(&machine);
    assert!(applied.status.success(), "{applied:?}");
    assert!(log.contains("LOOP_SET_FD") && log.contains("LO_FLAGS_AUTOCLEAR"), "{log}");
    assert_eq!(machine.loops().len(), 1);
    machine.release();
    machine.assert_clean();
}

#[test]
fn without_openat2_paths_are_walked_name_by_name() {
    for error in ["ENOSYS", "EPERM"] {
        let machine = Machine::new();
        let (applied, _) = Strace::of("openat2").inject(&format!("error={error}")).apply(&machine);
        assert!(applied.status.success(), "{applied:?}");
        machine.release();
        machine.assert_clean();
    }
}

#[test]
fn where_space_cannot_be_reserved_a_sparse_image_is_suggested() {
    let machine = Machine::new();
    let (refused, _) = Strace::of("fallocate").inject("error=EOPNOTSUPP").apply(&machine);
    let document = document(&refused);
    assert_eq!(
        (&document["error"]["code"], refused.status.code()),
        (&"reserve-unsupported".into(), Some(73)),
        "{document}"
    );
    assert!(document["error"]["hint"].as_str().unwrap().contains("DIND_STORAGE_SPARSE=true"), "{document}");
    machine.assert_untouched();
}

#[test]
fn without_renameat2_a_link_keeps_what_is_there() {
    let machine = Machine::new();
    let (applied, _) = Strace::of("renameat2").inject("error=EINVAL").apply(&machine);
    assert!(applied.status.success(), "{applied:?}");
    assert_eq!(machine.temporaries(), [""; 0]);
    machine.release();
    machine.assert_clean();

    let machine = Machine::new();
    // Killed between link and unlink: the image has two names, and the next apply removes the temporary one.
    let killed = Strace::of("renameat2,linkat,unlinkat")
        .flag("--inject=renameat2:error=EINVAL")
        .flag("--inject=unlinkat:signal=SIGKILL");
    assert!(killed.apply(&machine).0.stdout.is_empty());
    assert_eq!((machine.temporaries().len(), machine.image().exists()), (1, true));
    assert_eq!(steps(&machine.apply())[0], "make-image:skipped");
    assert_eq!(machine.temporaries(), [""; 0]);
    machine.release();
    machine.assert_clean();
}

/// Runs a first apply again and again, with a fault at the first, second, … of each call, each on a machine as new.
/// Returns the number of faults.
fn sweep(calls: &[&str], fault: &str, check: impl Fn(&Machine, &Output)) -> usize {
    sweep_of(calls, fault, |strace| strace, check)
}

/// The same for an apply that is changed first.
pub(crate) fn sweep_of(
    calls: &[&str],
    fault: &str,
    change: impl Fn(Strace) -> Strace,
    check: impl Fn(&Machine, &Output),
) -> usize {
    let mut rounds = 0;
    for call in calls {
        for round in 1.. {
            let machine = Machine::new();
            let strace = change(Strace::of(call).inject(&format!("{fault}:when={round}")));
            let (output, log) = strace.apply(&machine);
            if !is_injected(&log) {
                assert!(output.status.success(), "{output:?}");
                assert!(round > 1, "there is no {call} to fail");
                machine.release();
                machine.assert_clean();
                break;
            }
            check(&machine, &output);
            rounds += 1;
        }
    }
    rounds
}
