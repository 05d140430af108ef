//! What lies under the image's name: used by another, not ours, broken, or no file at all.

use crate::machine::{Machine, fails, run, steps, succeeds};
use nix::sys::stat::Mode;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

#[test]
fn the_same_image_twice_is_in_use_and_the_first_is_unharmed() {
    let machine = Machine::new();
    machine.apply();
    fs::write(machine.root().join("kept"), "kept").unwrap();
    let second = |verb| {
        let mut command = machine.storage(verb);
        command.env("DIND_DATA_ROOT", machine.path("second"));
        command
    };
    let refused = fails(&mut second("apply"), "image-in-use", 75);
    assert!(refused["error"]["message"].as_str().unwrap().contains(machine.image().to_str().unwrap()));
    assert!(!machine.path("second").exists());
    assert_eq!((machine.mounts().len(), machine.loops().len()), (1, 1));
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
    // Releasing a data root that the image is not on does no harm either.
    assert_eq!(succeeds(&mut second("release"))["changed"], false);
    machine.release();
    succeeds(&mut second("apply"));
    assert_eq!(fs::read(machine.path("second/kept")).unwrap(), b"kept");
    succeeds(&mut second("release"));
    machine.assert_clean();
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_not_changed() {
    let machine = Machine::new();
    fs::create_dir(machine.image().parent().unwrap()).unwrap();
    let image = machine.image();
    let path = image.to_str().unwrap();
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("one byte", vec![0x53]),
        ("noise", (0..=255).cycle().take(1 << 20).collect()),
    ];
    for (name, label) in [("another's ext4", "backup"), ("an ext4 without a label", "")] {
        fs::write(&image, vec![0; 16 << 20]).unwrap();
        run("mkfs.ext4", &["-q", "-F", "-L", label, path]);
        cases.push((name, fs::read(&image).unwrap()));
    }
    for (name, bytes) in cases {
        fs::write(&image, &bytes).unwrap();
        fails(&mut machine.storage("apply"), "image-foreign", 78);
        assert!(fs::read(&image).unwrap() == bytes, "{name} was changed");
        machine.assert_clean();
    }
}

#[test]
fn a_truncated_image_is_refused_before_it_is_attached() {
    let machine = Machine::new();
    machine.apply();
    machine.release();
    let file = fs::OpenOptions::new().write(true).open(machine.image()).unwrap();
    file.set_len((64 << 20) - 4096).unwrap();
    let before = fs::read(machine.image()).unwrap();
    let mut apply = machine.storage("apply");
    let refused = fails(apply.env("VAR_LIB_DOCKER_SIZE", ""), "image-broken", 74);
    assert!(refused["error"]["message"].as_str().unwrap().contains("shorter"), "{refused}");
    assert!(before == fs::read(machine.image()).unwrap());
    machine.assert_clean();
}

#[test]
fn an_image_with_the_error_flag_is_checked_and_one_beyond_that_refused() {
    let machine = Machine::new();
    machine.apply();
    machine.release();
    let path = machine.image().to_str().unwrap().to_owned();
    // 1 is clean, 2 is "errors detected" (ext4's s_state).
    run("debugfs", &["-w", "-R", "set_super_value state 3", &path]);
    assert!(steps(&machine.apply()).contains(&"check-image:done".to_owned()));
    machine.release();
    assert!(!steps(&machine.apply()).contains(&"check-image:done".to_owned()));
    machine.release();

    run("debugfs", &["-w", "-R", "set_super_value state 3", &path]);
    run("debugfs", &["-w", "-R", "clri <2>", &path]);
    let refused = fails(&mut machine.storage("apply"), "image-broken", 74);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("e2fsck -f"), "{refused}");
    machine.assert_clean();
}

#[test]
fn an_image_is_recovered_after_a_power_cut() {
    let machine = Machine::new();
    machine.apply();
    fs::write(machine.root().join("kept"), "kept").unwrap();
    fs::File::open(machine.root().join("kept")).unwrap().sync_all().unwrap();
    // What a power cut leaves: the file as it is now, with a journal to replay.
    let copy = machine.path("images/copy");
    run("cp", &["--sparse=never", machine.image().to_str().unwrap(), copy.to_str().unwrap()]);
    machine.release();
    let mut apply = machine.storage("apply");
    succeeds(apply.env("DIND_STORAGE_IMAGE", &copy));
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
    let mut release = machine.storage("release");
    succeeds(release.env("DIND_STORAGE_IMAGE", &copy));
    machine.assert_clean();
}

#[test]
fn an_image_that_was_removed_while_mounted_is_still_released() {
    let machine = Machine::new();
    machine.apply();
    fs::remove_file(machine.image()).unwrap();
    let again = machine.apply();
    assert_eq!(steps(&again), ["mount-image:skipped", "adjust-reserve:skipped"]);
    assert_eq!(steps(&machine.release()), ["unmount-image:done", "detach-image:done"]);
    machine.assert_clean();
}

#[test]
fn unsafe_files_are_refused_before_they_are_opened() {
    let machine = Machine::new();
    let image = machine.image();
    machine.apply();
    machine.release();
    let other = machine.path("images/other");

    fs::set_permissions(&image, fs::Permissions::from_mode(0o666)).unwrap();
    fails(&mut machine.storage("apply"), "image-unsafe", 78);
    fs::set_permissions(&image, fs::Permissions::from_mode(0o600)).unwrap();

    std::os::unix::fs::chown(&image, Some(1000), None).unwrap();
    fails(&mut machine.storage("apply"), "image-unsafe", 78);
    std::os::unix::fs::chown(&image, Some(0), None).unwrap();

    fs::hard_link(&image, &other).unwrap();
    fails(&mut machine.storage("apply"), "image-unsafe", 78);
    fs::remove_file(&other).unwrap();

    fs::rename(&image, &other).unwrap();
    symlink(&other, &image).unwrap();
    fails(&mut machine.storage("apply"), "image-unsafe", 78);
    fs::remove_file(&image).unwrap();

    // A plain open of a FIFO would wait for a writer.
    nix::unistd::mkfifo(&image, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    fails(&mut machine.storage("apply"), "image-unsafe", 78);
    fs::remove_file(&image).unwrap();

    fs::create_dir(&image).unwrap();
    fails(&mut machine.storage("apply"), "image-unsafe", 78);
    fs::remove_dir(&image).unwrap();

    fs::rename(&other, &image).unwrap();
    symlink(machine.path("images"), machine.path("link")).unwrap();
    let mut through_a_link = machine.storage("apply");
    fails(through_a_link.env("DIND_STORAGE_IMAGE", machine.path("link/docker")), "path-unsafe", 78);
    machine.assert_clean();
    machine.apply();
    machine.release();
    machine.assert_clean();
}

#[test]
fn data_roots_that_would_hide_something_are_refused() {
    let machine = Machine::new();
    fs::create_dir(machine.root()).unwrap();
    fs::write(machine.root().join("mine"), "mine").unwrap();
    fails(&mut machine.storage("apply"), "data-root-not-empty", 78);
    fs::remove_file(machine.root().join("mine")).unwrap();
    fails(machine.storage("apply").env("DIND_DATA_ROOT", "/"), "data-root-unsafe", 78);
    fails(machine.storage("apply").env("DIND_DATA_ROOT", "/etc/docker"), "data-root-unsafe", 78);
    // A link does not hide where it leads.
    fs::remove_dir(machine.root()).unwrap();
    symlink("/etc", machine.root()).unwrap();
    fails(&mut machine.storage("apply"), "data-root-unsafe", 78);
    assert!(Path::new("/etc/passwd").exists(), "something is mounted on /etc");
    assert!(!machine.image().exists());
    machine.assert_clean();
}
