//! Many at once, many times over, and somebody who renames directories meanwhile.
//!
//! `DIND_TEST_CYCLES` and `DIND_TEST_SWAPS` give other counts than those that a run of all suites has time for.

use crate::machine::{Machine, document, succeeds};
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, RenameFlags, renameat2};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::{Command, Stdio};

fn count(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn sixteen_at_once_get_sixteen_devices_three_times_over() {
    let machine = Machine::new();
    for _ in 0..3 {
        at_once(&machine, "apply");
        let devices: std::collections::BTreeSet<_> = machine.loops().into_iter().collect();
        assert_eq!((machine.mounts().len(), devices.len()), (16, 16));
        at_once(&machine, "release");
        machine.assert_clean();
    }
}

fn at_once(machine: &Machine, verb: &str) {
    let start = |number: usize| {
        let mut command = machine.storage(verb);
        command.env("DIND_DATA_ROOT", machine.path(&format!("root{number}")));
        command.env("DIND_STORAGE_IMAGE", machine.path(&format!("images/{number}")));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let started: Vec<_> = (0..16).map(start).collect();
    for one in started {
        let output = one.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn of_sixteen_that_want_the_same_image_at_once_one_gets_it() {
    let machine = Machine::new();
    let start = |number: usize| {
        let mut command = machine.storage("apply");
        command.env("DIND_DATA_ROOT", machine.path(&format!("root{number}")));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let started: Vec<_> = (0..16).map(start).collect();
    let mut winners = Vec::new();
    for (number, one) in started.into_iter().enumerate() {
        let output = one.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => winners.push(number),
            Some(75) => assert_eq!(document(&output)["error"]["code"], "image-in-use"),
            _ => panic!("{output:?}"),
        }
    }
    let [winner] = winners[..] else { panic!("{winners:?} have the image, and not exactly one") };
    assert_eq!((machine.mounts().len(), machine.loops().len()), (1, 1));
    let root = machine.path(&format!("root{winner}"));
    let again = succeeds(machine.storage("apply").env("DIND_DATA_ROOT", &root));
    assert_eq!(again["changed"], false);
    assert_eq!(fs::read_dir(machine.image().parent().unwrap()).unwrap().count(), 1);
    succeeds(machine.storage("release").env("DIND_DATA_ROOT", &root));
    machine.assert_clean();
}

#[test]
fn many_cycles_leave_no_device_no_mount_and_no_lock() {
    let machine = Machine::new();
    machine.apply();
    fs::write(machine.root().join("kept"), "kept").unwrap();
    machine.release();
    for _ in 0..count("DIND_TEST_CYCLES", 60) {
        machine.apply();
        assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
        machine.release();
        assert_eq!((machine.mounts().len(), machine.loops().len()), (0, 0));
    }
    machine.assert_clean();
    // Whatever has the image open has it locked: a device, or a process of the tool.
    let image = File::open(machine.image()).unwrap();
    let locked = Flock::lock(image, FlockArg::LockExclusiveNonblock);
    assert!(locked.is_ok(), "somebody has the image open: {:?}", locked.err());
    assert_eq!(fs::read_dir(machine.image().parent().unwrap()).unwrap().count(), 1);
    let check = Command::new("e2fsck").args(["-f", "-n"]).arg(machine.image()).output().unwrap();
    assert!(check.status.success(), "{check:?}");
}

/// The image's directory and a link to another image's directory change places for as long as an apply runs.
#[test]
fn a_link_that_comes_and_goes_on_the_path_leads_nowhere() {
    let machine = Machine::new();
    machine.apply();
    machine.release();
    let (images, link, victim) = (machine.path("images"), machine.path("link"), machine.path("victim"));
    fs::create_dir(&victim).unwrap();
    fs::copy(machine.image(), victim.join("docker")).unwrap();
    let before = fs::read(victim.join("docker")).unwrap();
    let state = || {
        let file = fs::metadata(victim.join("docker")).unwrap();
        (file.ino(), file.nlink(), file.mode(), file.mtime_nsec(), file.ctime_nsec(), file.blocks())
    };
    let state_before = state();
    symlink(&victim, &link).unwrap();
    let exchange = || renameat2(AT_FDCWD, &images, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();

    let wanted = count("DIND_TEST_SWAPS", 10_000);
    let (mut swaps, mut refused, mut mounted) = (0, 0, 0);
    while swaps < wanted || refused == 0 || mounted == 0 {
        // Without an image in the directory every other time, so that one is made there.
        if swaps % 4 == 0 {
            fs::remove_file(machine.image()).unwrap();
        }
        let mut apply = machine.storage("apply");
        let mut apply = apply.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut swapped = 0;
        while apply.try_wait().unwrap().is_none() {
            exchange();
            swapped += 1;
        }
        if swapped % 2 == 1 {
            exchange();
        }
        swaps += swapped;
        let output = apply.wait_with_output().unwrap();
        let document = document(&output);
        if output.status.success() {
            mounted += 1;
            machine.release();
        } else {
            refused += 1;
            let code = document["error"]["code"].as_str().unwrap();
            assert!(["path-unsafe", "image-in-use"].contains(&code), "{document}");
        }
        machine.assert_clean();
        if !machine.image().exists() {
            machine.apply();
            machine.release();
        }
        assert_eq!(state(), state_before, "the other image was touched: {document}");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
    }
    assert!(before == fs::read(victim.join("docker")).unwrap(), "the other image was changed");
}
