//! What is refused before anything changes: missing privileges, wrong options, too little space.

use crate::machine::{Machine, fails, succeeds};
use dind_tests::{bin, copy_of};
use nix::mount::{MsFlags, mount, umount};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn a_caller_who_is_not_root_is_refused() {
    let machine = Machine::new();
    let copy = copy_of("dind-storage", &machine.path(""));
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
fn root_without_cap_sys_admin_is_refused_with_the_flag_that_adds_it() {
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
fn invalid_options_change_nothing() {
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
    let directory = machine.path("small");
    fs::create_dir(&directory).unwrap();
    mount(Some("tmpfs"), &directory, Some("tmpfs"), MsFlags::empty(), Some("size=24m")).unwrap();
    let mut apply = machine.storage("apply");
    let refused = fails(apply.env("DIND_STORAGE_IMAGE", directory.join("docker")), "space-short", 73);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("67108864") && message.contains("25165824"), "{message}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    umount(&directory).unwrap();
    machine.assert_untouched();
}
