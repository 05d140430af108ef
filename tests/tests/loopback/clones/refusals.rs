//! Golden images that cannot be cloned, and clones that do not fit.

use super::{clone, golden};
use crate::machine::{Machine, fails, run, succeeds};
use nix::mount::{MntFlags, umount2};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

#[test]
fn a_golden_image_that_others_may_have_written_to_is_refused() {
    let machine = Machine::new();
    let from = machine.path("golden/image");
    golden(&machine, &from, &[]);
    let refuse = |code: &str, hint: &str| {
        for verb in ["plan", "apply"] {
            let refused = fails(&mut clone(&machine, verb, &from), code, 78);
            assert!(refused["error"]["hint"].as_str().unwrap().contains(hint), "{refused}");
            machine.assert_untouched();
        }
    };
    let other = machine.path("golden/other");
    fs::set_permissions(&from, Permissions::from_mode(0o622)).unwrap();
    refuse("image-unsafe", "golden");
    fs::set_permissions(&from, Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&from, Some(1000), None).unwrap();
    refuse("image-unsafe", "golden");
    std::os::unix::fs::chown(&from, Some(0), None).unwrap();
    fs::rename(&from, &other).unwrap();
    refuse("golden-image-missing", "DIND_STORAGE_IMAGE_FROM");
    symlink(&other, &from).unwrap();
    refuse("image-unsafe", "golden");
    fs::remove_file(&from).unwrap();
    fs::write(&from, vec![7; 1 << 20]).unwrap();
    refuse("image-foreign", "DIND_STORAGE_IMAGE_FROM");
    fs::rename(&other, &from).unwrap();
    run("debugfs", &["-w", "-R", "set_super_value state 3", from.to_str().unwrap()]);
    refuse("golden-image-unclean", "e2fsck -f");
    run("debugfs", &["-w", "-R", "set_super_value state 1", from.to_str().unwrap()]);
    // Attached by a stranger, who takes no lock.
    let point = machine.path("golden/point");
    fs::create_dir(&point).unwrap();
    let device = Command::new("losetup").args(["--find", "--show"]).arg(&from).output().unwrap();
    let device = String::from_utf8(device.stdout).unwrap();
    fails(&mut clone(&machine, "plan", &from), "image-in-use", 75);
    fails(&mut clone(&machine, "apply", &from), "image-in-use", 75);
    assert!(!machine.image().exists());
    run("losetup", &["--detach", device.trim()]);
    machine.assert_clean();
    succeeds(&mut clone(&machine, "apply", &from));
    machine.release();
    machine.assert_clean();
}

#[test]
fn a_golden_image_that_is_mounted_or_was_not_unmounted_is_refused() {
    for (variables, mkfs) in
        [(&[][..], "ext4"), (&[("DIND_STORAGE_FS", "xfs"), ("VAR_LIB_DOCKER_SIZE", "320MiB")][..], "xfs")]
    {
        let machine = Machine::new();
        let from = machine.path("golden/image");
        golden(&machine, &from, variables);
        let mut apply = machine.storage("apply");
        succeeds(apply.envs(variables.iter().copied()).env("DIND_STORAGE_IMAGE", &from));
        let mut second = clone(&machine, "apply", &from);
        second.env("DIND_DATA_ROOT", machine.path("second"));
        fails(&mut second, "image-in-use", 75);
        // What a power cut leaves.
        fs::write(machine.root().join("new"), "new").unwrap();
        File::open(machine.root().join("new")).unwrap().sync_all().unwrap();
        let cut = machine.path("golden/cut");
        run("cp", &["--sparse=always", from.to_str().unwrap(), cut.to_str().unwrap()]);
        let mut release = machine.storage("release");
        succeeds(release.env("DIND_STORAGE_IMAGE", &from));
        fs::remove_dir(machine.root()).unwrap();
        let refused = fails(&mut clone(&machine, "apply", &cut), "golden-image-unclean", 78);
        machine.assert_untouched();
        // As the hint says.
        let hint = refused["error"]["hint"].as_str().unwrap().split('`').nth(1).unwrap();
        let point = machine.path("golden/mnt");
        fs::create_dir(&point).unwrap();
        run("sh", &["-c", &hint.replace("/mnt", point.to_str().unwrap())]);
        let applied = succeeds(&mut clone(&machine, "apply", &cut));
        assert_eq!(applied["result"]["filesystem"], mkfs);
        assert!(machine.root().join("new").exists());
        machine.release();
        machine.assert_clean();
    }
}

#[test]
fn a_member_of_a_swarm_is_not_cloned() {
    let machine = Machine::new();
    let from = machine.path("golden/image");
    golden(&machine, &from, &[]);
    let mut apply = machine.storage("apply");
    succeeds(apply.env("DIND_STORAGE_IMAGE", &from));
    fs::create_dir(machine.root().join("swarm")).unwrap();
    fs::write(machine.root().join("swarm/docker-state.json"), "{}").unwrap();
    let mut release = machine.storage("release");
    succeeds(release.env("DIND_STORAGE_IMAGE", &from));
    fs::remove_dir(machine.root()).unwrap();
    let refused = fails(&mut clone(&machine, "apply", &from), "golden-image-swarm", 78);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("docker swarm leave"), "{refused}");
    machine.assert_untouched();
}

#[test]
fn a_clone_that_does_not_fit_is_refused_with_both_numbers() {
    let machine = Machine::new();
    let from = machine.path("golden/image");
    golden(&machine, &from, &[("VAR_LIB_DOCKER_SIZE", "256MiB")]);
    let point = machine.path("images");
    fs::create_dir(&point).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=128m", "tmpfs", point.to_str().unwrap()]);
    for verb in ["plan", "apply"] {
        let refused = fails(&mut clone(&machine, verb, &from), "space-short", 73);
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("268435456") && message.contains("134217728"), "{message}");
        assert!(refused["error"]["hint"].as_str().unwrap().contains("DIND_STORAGE_SPARSE=true"), "{refused}");
    }
    assert_eq!(machine.temporaries(), [""; 0]);
    // As the hint says.
    let mut sparse = clone(&machine, "apply", &from);
    succeeds(sparse.env("DIND_STORAGE_SPARSE", "true"));
    machine.release();
    umount2(&point, MntFlags::empty()).unwrap();
    fs::remove_dir(&point).unwrap();
}
