//! Device nodes: missing, planted, denied.

use crate::machine::{Machine, fails, run, steps};
use nix::mount::{MsFlags, mount};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

#[test]
fn a_missing_device_node_is_made_for_root_alone() {
    let machine = Machine::new();
    bare_dev(&machine);
    let applied = machine.apply();
    assert!(steps(&applied).contains(&"make-loop-node:done".to_owned()), "{applied}");
    let node = fs::metadata(applied["result"]["image"]["device"].as_str().unwrap()).unwrap();
    assert!(node.file_type().is_block_device());
    assert_eq!(node.permissions().mode() & 0o7777, 0o600);
    machine.release();
    machine.assert_clean();
}

#[test]
fn a_planted_file_in_place_of_a_device_is_refused_and_not_written() {
    let machine = Machine::new();
    bare_dev(&machine);
    let numbers = 0..=last_loop_device() + 64;
    for number in numbers.clone() {
        fs::write(format!("/dev/loop{number}"), "planted").unwrap();
    }
    let refused = fails(&mut machine.storage("apply"), "loop-device-foreign", 78);
    assert!(steps(&refused).iter().all(|step| step.ends_with(":undone")), "{refused}");
    for number in numbers {
        assert_eq!(fs::read(format!("/dev/loop{number}")).unwrap(), b"planted");
    }
    machine.assert_untouched();
}

#[test]
fn a_missing_loop_control_is_named_with_the_flag_that_adds_it() {
    let machine = Machine::new();
    bare_dev(&machine);
    fs::remove_file("/dev/loop-control").unwrap();
    let refused = fails(&mut machine.storage("apply"), "loop-control-missing", 77);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--device /dev/loop-control"), "{refused}");
    machine.assert_untouched();
}

#[test]
fn a_loop_control_that_may_not_be_opened_is_not_called_missing() {
    let machine = Machine::new();
    bare_dev(&machine);
    // The device cgroup of a container answers EPERM, a mount without devices EACCES.
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NODEV;
    let control = Some("/dev/loop-control");
    mount(control, "/dev/loop-control", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    mount(None::<&str>, "/dev/loop-control", None::<&str>, flags, None::<&str>).unwrap();
    let refused = fails(&mut machine.storage("apply"), "loop-control-denied", 77);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--device-cgroup-rule"), "{refused}");
    machine.assert_untouched();
}

/// The highest number of a loop device on the machine: the next free one is at most one higher, unless others attach
/// files meanwhile.
fn last_loop_device() -> u32 {
    let names = fs::read_dir("/sys/block").unwrap().map(|entry| entry.unwrap().file_name());
    let numbers = names.filter_map(|name| name.to_str()?.strip_prefix("loop")?.parse().ok());
    numbers.max().unwrap_or(0)
}

/// A /dev as a container has it: a tmpfs with no loop devices but the control.
fn bare_dev(machine: &Machine) {
    let dev = machine.path("dev");
    fs::create_dir(&dev).unwrap();
    mount(Some("tmpfs"), &dev, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let at = |name: &str| dev.join(name).to_str().unwrap().to_owned();
    run("mknod", &["-m", "600", &at("loop-control"), "c", "10", "237"]);
    run("mknod", &["-m", "666", &at("null"), "c", "1", "3"]);
    mount(Some(&dev), "/dev", None::<&str>, MsFlags::MS_MOVE, None::<&str>).unwrap();
    fs::remove_dir(&dev).unwrap();
}
