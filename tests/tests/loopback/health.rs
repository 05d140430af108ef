//! A file system that fills up or breaks, and what `plan` reports of it.

use crate::machine::{Machine, document, fails, run, steps, succeeds};
use dind_tests::eventually;
use nix::mount::{MsFlags, mount, umount};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

/// Writes what cannot be compressed away or left out as a hole, and waits until it is on disk.
fn fill(path: &Path, mib: usize) -> io::Result<()> {
    let mut file = File::create(path)?;
    let chunk: Vec<u8> = (0..1 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    for _ in 0..mib {
        file.write_all(&chunk)?;
    }
    file.sync_all()
}

/// A release that had to leave something unwritten: it says so, and still leaves nothing attached.
fn releases_with_errors(release: &mut Command) -> Value {
    let output = release.output().unwrap();
    let document = document(&output);
    assert_eq!(
        (&document["error"]["code"], output.status.code()),
        (&"filesystem-errors".into(), Some(74)),
        "{output:?}"
    );
    let steps = steps(&document);
    assert!(steps.ends_with(&["unmount-image:done".to_owned(), "detach-image:done".to_owned()]), "{steps:?}");
    document
}

fn has_errors(plan: &Value) -> bool {
    let health = &plan["result"]["health"];
    assert!(health["read_only"].is_boolean() && health["errors"].is_u64(), "{plan}");
    let errors = health["read_only"] == true || health["errors"].as_u64() > Some(0);
    let warned = plan["warnings"].as_array().unwrap().iter().any(|one| one["code"] == "filesystem-errors");
    assert_eq!(errors, warned, "{plan}");
    errors
}

#[test]
fn a_plan_reports_used_and_free_space_and_health() {
    let machine = Machine::new();
    machine.apply();
    let before = succeeds(&mut machine.storage("plan"));
    assert!(!has_errors(&before));
    fill(&machine.root().join("file"), 20).unwrap();
    let after = succeeds(&mut machine.storage("plan"));
    let space = |plan: &Value, key: &str| plan["result"]["space"][key].as_u64().unwrap();
    let used = space(&after, "used_bytes") - space(&before, "used_bytes");
    assert!((20 << 20..22 << 20).contains(&used), "{used}");
    assert_eq!(space(&before, "available_bytes") - space(&after, "available_bytes"), used);
    assert!(space(&after, "total_bytes") <= 64 << 20);
    machine.release();
    machine.assert_clean();
}

#[test]
fn a_sparse_image_on_a_full_volume_reports_errors_and_is_released() {
    let machine = Machine::new();
    let volume = machine.path("volume");
    fs::create_dir(&volume).unwrap();
    mount(Some("tmpfs"), &volume, Some("tmpfs"), MsFlags::empty(), Some("size=24m")).unwrap();
    let on_volume = |verb: &str| {
        let mut command = machine.storage(verb);
        command.env("DIND_STORAGE_IMAGE", volume.join("docker")).env("DIND_STORAGE_SPARSE", "true");
        command
    };
    let applied = succeeds(&mut on_volume("apply"));
    assert_eq!(applied["warnings"][0]["code"], "image-sparse");
    assert!(fill(&machine.root().join("large"), 40).is_err(), "the volume has 24 MiB");
    // Data that cannot be written is no error of the file system; a journal that cannot be is.
    eventually("the plan reports errors", LIMIT, || {
        let _ = fill(&machine.root().join("more"), 1);
        has_errors(&succeeds(&mut on_volume("plan"))).then_some(())
    });
    releases_with_errors(&mut on_volume("release"));
    machine.assert_clean_below(&["volume"]);
    assert_eq!(succeeds(&mut on_volume("release"))["changed"], false);
    umount(&volume).unwrap();
    machine.assert_clean();
}

#[test]
fn a_release_trims_a_sparse_image_and_keeps_a_reservation() {
    let machine = Machine::new();
    let taken = || fs::metadata(machine.image()).unwrap().blocks() * 512;
    let verb = |verb: &str, sparse: &str| {
        let mut command = machine.storage(verb);
        succeeds(command.env("DIND_STORAGE_SPARSE", sparse))
    };
    for (sparse, steps_of_release) in [("true", 3), ("false", 2)] {
        verb("apply", sparse);
        fill(&machine.root().join("large"), 30).unwrap();
        assert!(taken() > 30 << 20);
        fs::remove_file(machine.root().join("large")).unwrap();
        fill(&machine.root().join("kept"), 1).unwrap();
        // The image decides, not the options of the release.
        let released = verb("release", "");
        assert_eq!(steps(&released).len(), steps_of_release, "{released}");
        if sparse == "true" {
            assert_eq!(steps(&released)[0], "trim-image:done");
            assert!(taken() < 10 << 20, "{} bytes are still taken", taken());
        } else {
            assert!(taken() >= 64 << 20, "only {} bytes are left of the reservation", taken());
        }
        verb("apply", "");
        assert_eq!(fs::metadata(machine.root().join("kept")).unwrap().len(), 1 << 20);
        machine.release();
        fs::remove_file(machine.image()).unwrap();
    }
    machine.assert_clean();
}

#[test]
fn a_reservation_with_holes_is_filled_again_and_never_trimmed() {
    let machine = Machine::new();
    let taken = || fs::metadata(machine.image()).unwrap().blocks() * 512;
    let applied = machine.apply();
    let device =
        applied["result"]["image"]["device"].as_str().unwrap().trim_start_matches("/dev/").to_owned();
    let options = fs::read_to_string(format!("/proc/fs/ext4/{device}/options")).unwrap();
    assert!(
        !options.lines().any(|line| line.starts_with("init_itable=")),
        "the kernel punches holes: {options}"
    );
    machine.release();
    // What the kernel does to inode tables unless a mount option forbids it; here, to blocks that nobody uses.
    let image = machine.image();
    run("fallocate", &["--punch-hole", "--offset", "40MiB", "--length", "4MiB", image.to_str().unwrap()]);
    assert!(taken() < 64 << 20);
    assert_eq!(machine.apply()["result"]["image"]["sparse"], false);
    assert!(taken() >= 64 << 20, "only {} bytes are reserved", taken());
    run("fallocate", &["--punch-hole", "--offset", "40MiB", "--length", "4MiB", image.to_str().unwrap()]);
    let before = taken();
    assert_eq!(steps(&machine.release())[0], "unmount-image:done");
    assert_eq!(taken(), before);
    machine.assert_clean();
}

/// A volume on a disk that refuses writes on request: nbdkit's error filter, as a file by FUSE, under a loop device.
/// It has no journal of its own, so that the errors are met by the image's.
struct Disk {
    directory: PathBuf,
    fuse: Child,
    device: String,
}

impl Disk {
    fn new(machine: &Machine) -> Self {
        let directory = machine.path("disk");
        for name in ["", "fuse", "volume"] {
            fs::create_dir(directory.join(name)).unwrap();
        }
        File::create(directory.join("data")).unwrap().set_len(160 << 20).unwrap();
        fs::write(directory.join("fuse/nbd"), "").unwrap();
        let mut command = Command::new("nbdfuse");
        command.arg(directory.join("fuse/nbd")).args(["--command", "nbdkit", "-s", "--filter=error", "file"]);
        command.arg(directory.join("data")).args(["error-pwrite=EIO", "error-pwrite-rate=100%"]);
        command.arg(format!("error-pwrite-file={}", Self::switch(&directory).display()));
        let fuse = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let fuse = fuse.expect("nbdfuse is missing: run `cargo xtask test`");
        let served = directory.join("fuse/nbd");
        eventually("nbdfuse serves its file", LIMIT, || {
            fs::metadata(&served).is_ok_and(|file| file.len() > 0).then_some(())
        });
        let device = Command::new("losetup").args(["--find", "--show"]).arg(&served).output().unwrap();
        assert!(device.status.success(), "{device:?}");
        let device = String::from_utf8(device.stdout).unwrap().trim().to_owned();
        run("mkfs.ext4", &["-q", "-O", "^has_journal", "-E", "lazy_itable_init=0", &device]);
        let disk = Self { directory, fuse, device };
        mount(Some(disk.device.as_str()), &disk.volume(), Some("ext4"), MsFlags::empty(), None::<&str>)
            .unwrap();
        disk
    }

    fn volume(&self) -> PathBuf {
        self.directory.join("volume")
    }

    fn switch(directory: &Path) -> PathBuf {
        directory.join("broken")
    }

    fn breaks(&self) {
        fs::write(Self::switch(&self.directory), "").unwrap();
    }

    fn works_again(&self) {
        fs::remove_file(Self::switch(&self.directory)).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_file(Self::switch(&self.directory));
        let _ = umount(&self.volume());
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
        // nbdfuse ends, and nbdkit with it, when its file is unmounted.
        let served = self.directory.join("fuse/nbd");
        if std::thread::panicking() {
            let _ = self.fuse.kill();
        } else {
            eventually("the file of nbdfuse is free", LIMIT, || umount(&served).ok());
        }
        let _ = self.fuse.wait();
    }
}

#[test]
fn a_disk_that_refuses_writes_is_reported_and_the_image_is_repaired_later() {
    let machine = Machine::new();
    let disk = Disk::new(&machine);
    let on_disk = |verb: &str| {
        let mut command = machine.storage(verb);
        command.env("DIND_STORAGE_IMAGE", disk.volume().join("docker"));
        command
    };
    succeeds(&mut on_disk("apply"));
    fill(&machine.root().join("kept"), 4).unwrap();
    disk.breaks();
    assert!(fill(&machine.root().join("lost"), 4).is_err());
    eventually("the plan reports errors", LIMIT, || {
        let _ = fill(&machine.root().join("lost"), 1);
        has_errors(&succeeds(&mut on_disk("plan"))).then_some(())
    });
    releases_with_errors(&mut on_disk("release"));
    disk.works_again();

    let again = succeeds(&mut on_disk("apply"));
    assert!(!has_errors(&again), "{again}");
    assert_eq!(fs::metadata(machine.root().join("kept")).unwrap().len(), 4 << 20);
    fill(&machine.root().join("new"), 4).unwrap();
    succeeds(&mut on_disk("release"));
    drop(disk);
    machine.assert_clean();
}

#[test]
fn an_image_that_does_not_fit_is_not_grown() {
    let machine = Machine::new();
    let volume = machine.path("volume");
    fs::create_dir(&volume).unwrap();
    mount(Some("tmpfs"), &volume, Some("tmpfs"), MsFlags::empty(), Some("size=80m")).unwrap();
    let image = volume.join("docker");
    let on_volume = |verb: &str, size: &str| {
        let mut command = machine.storage(verb);
        command.env("DIND_STORAGE_IMAGE", &image).env("VAR_LIB_DOCKER_SIZE", size);
        command
    };
    succeeds(&mut on_volume("apply", "64MiB"));
    succeeds(&mut on_volume("release", "64MiB"));
    let before = fs::read(&image).unwrap();
    let refused = fails(&mut on_volume("apply", "128MiB"), "space-short", 73);
    assert!(refused["error"]["message"].as_str().unwrap().contains("67108864 bytes"), "{refused}");
    assert!(before == fs::read(&image).unwrap(), "the image was changed");
    umount(&volume).unwrap();
    machine.assert_clean();
}
