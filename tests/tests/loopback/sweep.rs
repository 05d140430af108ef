//! A first apply that is killed, or meets an error, at each of its system calls.

use crate::machine::{Machine, document, steps};
use dind_tests::bin;
use std::fs;
use std::process::{Command, Output};

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
    "unlinkat",
    "ioctl",
    "mount",
    "chmod",
    "clone",
    "wait4",
];

/// Places to die at, but no places to fail at: what closes or is told has been done by then.
const ENDS: &[&str] = &["poll", "close", "write", "exit_group"];

#[test]
fn killed_at_every_call_the_next_apply_converges() {
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
fn eio_at_every_call_leaves_what_was_there() {
    errors("EIO");
}

#[test]
fn enospc_at_every_call_leaves_what_was_there() {
    errors("ENOSPC");
}

#[test]
fn eperm_at_every_call_leaves_what_was_there() {
    errors("EPERM");
}

#[test]
fn eintr_at_every_call_leaves_what_was_there() {
    errors("EINTR");
}

fn errors(error: &str) {
    let rounds = sweep(STORAGE, &format!("error={error}"), |machine, output| {
        // The loader of a program that is not static opens files too.
        if output.status.code() == Some(127) && output.stdout.is_empty() {
            return machine.assert_untouched();
        }
        let document = document(output);
        if output.status.success() {
            // Some calls may fail: a look at what may not be there, the old way where the new one is not.
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
        let (output, log) = strace(&machine, &["-f"], &["pwrite64"], &fault);
        let document = document(&output);
        if !log.contains("killed by SIGKILL") {
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
fn without_loop_configure_the_old_pair_attaches() {
    let machine = Machine::new();
    // The first ioctl finds a device, the second is LOOP_CONFIGURE, which kernels before 5.8 do not know.
    let (applied, log) = strace(&machine, &[], &["ioctl"], "error=ENOTTY:when=2");
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
        let (applied, _) = strace(&machine, &[], &["openat2"], &format!("error={error}"));
        assert!(applied.status.success(), "{applied:?}");
        machine.release();
        machine.assert_clean();
    }
}

#[test]
fn where_space_cannot_be_reserved_the_way_out_is_named() {
    let machine = Machine::new();
    let (refused, _) = strace(&machine, &[], &["fallocate"], "error=EOPNOTSUPP");
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
fn where_a_rename_cannot_keep_what_is_there_a_link_does() {
    let machine = Machine::new();
    let (applied, _) = strace(&machine, &[], &["renameat2"], "error=EINVAL");
    assert!(applied.status.success(), "{applied:?}");
    assert_eq!(machine.temporaries(), [""; 0]);
    machine.release();
    machine.assert_clean();

    let machine = Machine::new();
    let log = machine.path("strace");
    let mut command = Command::new("strace");
    command.arg("-o").arg(&log).args(["--trace=renameat2,linkat,unlinkat"]);
    command.args(["--inject=renameat2:error=EINVAL", "--inject=unlinkat:signal=SIGKILL"]);
    command.arg(bin("dind-storage")).arg("apply");
    machine.environment(&mut command);
    // Killed between link and unlink: the image has two names, and the next apply takes the temporary one away.
    assert!(command.output().unwrap().stdout.is_empty());
    assert_eq!((machine.temporaries().len(), machine.image().exists()), (1, true));
    assert_eq!(steps(&machine.apply())[0], "make-image:skipped");
    assert_eq!(machine.temporaries(), [""; 0]);
    machine.release();
    machine.assert_clean();
}

/// Runs a first apply again and again, with a fault at the first, second, … of each call, each on a machine as new.
fn sweep(calls: &[&str], fault: &str, check: impl Fn(&Machine, &Output)) -> usize {
    let mut rounds = 0;
    for call in calls {
        for round in 1.. {
            let machine = Machine::new();
            let (output, log) = strace(&machine, &[], &[call], &format!("{fault}:when={round}"));
            if !log.contains("(INJECTED)") && !log.contains("killed by SIGKILL") {
                assert!(output.status.success(), "{output:?}");
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

/// An apply with a fault in some of its calls, and what strace saw of these.
fn strace(machine: &Machine, flags: &[&str], calls: &[&str], fault: &str) -> (Output, String) {
    let log = machine.path("strace");
    let calls = calls.join(",");
    let mut command = Command::new("strace");
    command.args(flags).arg("-o").arg(&log).arg(format!("--trace={calls}"));
    command.arg(format!("--inject={calls}:{fault}")).arg(bin("dind-storage")).arg("apply");
    machine.environment(&mut command);
    let output = command.output().expect("strace is missing: run `cargo xtask test`");
    (output, fs::read_to_string(log).unwrap())
}
