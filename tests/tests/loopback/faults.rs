//! What goes wrong: privileges, space, options, kills and errors at every step.

use crate::machine::{Machine, document, fails, steps, succeeds};
use dind_tests::bin;
use nix::mount::{MsFlags, mount, umount};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

/// The calls with which a first apply changes something, or finds its way.
const CHANGES: &[&str] = &[
    "mkdirat",
    "openat",
    "flock",
    "fallocate",
    "fsync",
    "renameat2",
    "unlinkat",
    "ioctl",
    "mount",
    "chmod",
    "fstat",
];

#[test]
fn who_is_not_root_is_told_so() {
    let machine = Machine::new();
    // Others than root may not be able to enter the build folder.
    let copy = machine.path("dind-storage");
    fs::copy(bin("dind-storage"), &copy).unwrap();
    fs::set_permissions(machine.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&copy);
    command.arg("apply").uid(65534).gid(65534);
    machine.environment(&mut command);
    fails(&mut command, "not-root", 77);
    machine.assert_untouched();
    let mut plan = Command::new(&copy);
    plan.arg("plan").uid(65534).gid(65534);
    machine.environment(&mut plan);
    let plan = succeeds(plan.env("DIND_STORAGE_BACKING", "auto"));
    assert_eq!(plan["result"]["probe"], "not-run");
    assert_eq!(plan["warnings"][0]["code"], "probe-not-run");
    machine.assert_untouched();
}

#[test]
fn root_without_cap_sys_admin_is_told_the_flag() {
    let machine = Machine::new();
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"])
        .arg(bin("dind-storage"))
        .arg("apply");
    machine.environment(&mut command);
    let refused = fails(&mut command, "cap-sys-admin-missing", 77);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--cap-add SYS_ADMIN"), "{refused}");
    machine.assert_untouched();
}

#[test]
fn bad_options_change_nothing() {
    let machine = Machine::new();
    for (name, value, code) in [
        ("VAR_LIB_DOCKER_SIZE", "abc", "size-invalid"),
        ("VAR_LIB_DOCKER_SIZE", "-1", "size-invalid"),
        ("DIND_STORAGE_DRIVER", "overlay3", "driver-unknown"),
        ("DIND_STORAGE_BACKING", "tape", "backing-unknown"),
        ("DIND_STORAGE_FS", "ntfs", "filesystem-unknown"),
        ("DIND_STORAGE_SPARSE", "perhaps", "boolean-invalid"),
        ("DIND_DATA_ROOT", "root", "path-invalid"),
    ] {
        fails(machine.storage("apply").env(name, value), code, 78);
        machine.assert_untouched();
    }
}

#[test]
fn too_little_space_is_found_before_anything_is_written() {
    let machine = Machine::new();
    let folder = machine.path("small");
    fs::create_dir(&folder).unwrap();
    mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::empty(), Some("size=24m")).unwrap();
    let mut apply = machine.storage("apply");
    let refused = fails(apply.env("DIND_STORAGE_IMAGE", folder.join("docker")), "space-short", 73);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("67108864") && message.contains("25165824"), "{message}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    umount(&folder).unwrap();
    machine.assert_untouched();
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_no_death() {
    let machine = Machine::new();
    let mut command = Command::new("prlimit");
    command.arg("--fsize=1048576").arg(bin("dind-storage")).arg("apply");
    machine.environment(&mut command);
    let refused = fails(&mut command, "image-not-made", 73);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--ulimit fsize"), "{refused}");
    machine.assert_untouched();
}

#[test]
fn killed_at_every_change_the_next_apply_converges() {
    let rounds = sweep("signal=SIGKILL", |machine, output| {
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(machine.loops().len() <= 1);
        let again = machine.apply();
        assert_eq!((machine.mounts().len(), machine.loops().len()), (1, 1), "{again}");
        assert_eq!(machine.temporaries(), [""; 0]);
        assert_eq!(fs::read_dir(machine.image().parent().unwrap()).unwrap().count(), 1);
        machine.release();
        machine.assert_clean();
    });
    assert!(rounds > 40, "only {rounds} places were tried");
}

#[test]
fn an_error_at_every_change_leaves_what_was_there() {
    for error in ["EIO", "EPERM", "ENOSPC"] {
        let rounds = sweep(&format!("error={error}"), |machine, output| {
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
            assert!(document["error"]["message"].as_str().unwrap().starts_with("cannot "), "{document}");
            assert_ne!(document["error"]["hint"], "", "{document}");
            assert!(steps(&document).iter().all(|step| !step.ends_with(":done")), "{document}");
            machine.assert_untouched();
        });
        assert!(rounds > 40, "only {rounds} places were tried with {error}");
    }
}

#[test]
fn without_the_new_call_the_old_pair_attaches() {
    let machine = Machine::new();
    // The first ioctl finds a device, the second is LOOP_CONFIGURE, which kernels before 5.8 do not know.
    let (applied, log) = strace(&machine, "ioctl", "error=ENOTTY:when=2");
    assert!(applied.status.success(), "{applied:?}");
    assert!(log.contains("LOOP_SET_FD") && log.contains("LO_FLAGS_AUTOCLEAR"), "{log}");
    assert_eq!(machine.loops().len(), 1);
    machine.release();
    machine.assert_clean();
}

/// Runs a first apply again and again, with a fault at the first, second, … of each call, each on a machine as new.
fn sweep(fault: &str, check: impl Fn(&Machine, &Output)) -> usize {
    let mut rounds = 0;
    for call in CHANGES {
        for round in 1.. {
            let machine = Machine::new();
            let (output, log) = strace(&machine, call, &format!("{fault}:when={round}"));
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

/// An apply with a fault in one of its calls, and what strace saw of these.
fn strace(machine: &Machine, call: &str, fault: &str) -> (Output, String) {
    let log = machine.path("strace");
    let mut command = Command::new("strace");
    command.arg("-o").arg(&log).arg(format!("--trace={call}")).arg(format!("--inject={call}:{fault}"));
    command.arg(bin("dind-storage")).arg("apply");
    machine.environment(&mut command);
    let output = command.output().expect("strace is missing: run `cargo xtask test`");
    (output, fs::read_to_string(log).unwrap())
}
