//! The life of an image: made, mounted, reused, grown, released.

use crate::machine::{Machine, document, fails, steps, succeeds};
use dind_tests::{bin, eventually};
use nix::mount::{MsFlags, mount, umount};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn the_first_apply_makes_and_mounts_the_second_does_nothing_release_leaves_nothing() {
    let machine = Machine::new();
    let first = machine.apply();
    let expected =
        ["make-folder:done", "make-image:done", "attach-image:done", "make-folder:done", "mount-image:done"];
    assert_eq!(steps(&first), expected);
    let image = &first["result"]["image"];
    assert_eq!((&first["changed"], &image["size_bytes"]), (&true.into(), &(64 << 20).into()));
    assert_eq!(first["engine"]["config"]["data-root"], machine.root().to_str().unwrap());
    assert_eq!(first["engine"]["config"]["storage-driver"], "overlay2");
    let file = fs::metadata(machine.image()).unwrap();
    assert_eq!(file.mode() & 0o7777, 0o600);
    assert!(file.blocks() * 512 >= 64 << 20, "mkfs gave the reservation back: {} blocks", file.blocks());
    assert_eq!(fs::metadata(machine.root()).unwrap().mode() & 0o7777, 0o711);
    assert_eq!(machine.loops(), [image["device"].as_str().unwrap().trim_start_matches("/dev/")]);
    fs::write(machine.root().join("kept"), "kept").unwrap();

    let second = machine.apply();
    assert_eq!((&second["changed"], steps(&second)), (&false.into(), vec!["mount-image:skipped".to_owned()]));
    assert_eq!(second["result"]["image"]["device"], image["device"]);
    assert_eq!(machine.mounts().len(), 1);

    let release = machine.release();
    assert_eq!(steps(&release), ["unmount-image:done", "detach-image:done"]);
    machine.assert_clean();
    let nothing = machine.release();
    assert_eq!((&nothing["changed"], steps(&nothing).len()), (&false.into(), 0));

    let third = machine.apply();
    assert_eq!(steps(&third), ["make-image:skipped", "attach-image:done", "mount-image:done"]);
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
    machine.release();
    machine.assert_clean();
}

#[test]
fn a_plan_changes_nothing_and_says_what_apply_does() {
    let machine = Machine::new();
    let plan = succeeds(&mut machine.storage("plan"));
    assert_eq!(steps(&plan), ["make-image:planned", "attach-image:planned", "mount-image:planned"]);
    assert_eq!(plan["changed"], false);
    machine.assert_untouched();
    succeeds(machine.storage("plan").env("DIND_STORAGE_BACKING", "auto"));
    machine.assert_untouched();
}

#[test]
fn a_volume_carries_overlay_as_it_is_and_the_probe_leaves_nothing_in_it() {
    let machine = Machine::new();
    fs::create_dir(machine.root()).unwrap();
    mount(Some("tmpfs"), &machine.root(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    fs::write(machine.root().join("content"), "is normal here").unwrap();
    let applied = succeeds(machine.storage("apply").env("DIND_STORAGE_BACKING", "auto"));
    let result = &applied["result"];
    assert_eq!((&result["driver"], &result["backing"]), (&"overlay2".into(), &"native".into()));
    assert_eq!((&result["filesystem"], &result["probe"]), (&"tmpfs".into(), &"run".into()));
    assert_eq!(applied["changed"], false);
    let names: Vec<_> =
        fs::read_dir(machine.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["content"]);
    succeeds(machine.storage("release").env("DIND_STORAGE_BACKING", "auto"));
    umount(&machine.root()).unwrap();
    machine.assert_clean();
}

#[test]
fn overlay_as_the_root_of_a_container_has_gets_the_image() {
    let machine = Machine::new();
    let top = machine.path("top");
    for name in ["lower", "upper", "work", "top"] {
        fs::create_dir(machine.path(name)).unwrap();
    }
    let options =
        ["lower", "upper", "work"].map(|name| format!("{name}dir={}", machine.path(name).display()));
    mount(Some("overlay"), &top, Some("overlay"), MsFlags::empty(), Some(options.join(",").as_str()))
        .unwrap();
    let on_overlay = |verb| {
        let mut command = machine.storage(verb);
        command.env("DIND_STORAGE_BACKING", "auto").env("DIND_DATA_ROOT", top.join("docker"));
        command.env("DIND_STORAGE_IMAGE", top.join("images/docker"));
        succeeds(&mut command)
    };
    let applied = on_overlay("apply");
    let result = &applied["result"];
    assert_eq!((&result["driver"], &result["backing"]), (&"overlay2".into(), &"loop".into()), "{applied}");
    assert_eq!((&result["filesystem"], &result["probe"]), (&"ext4".into(), &"run".into()));
    assert_eq!(result["passed_over"][0]["driver"], "overlay2");
    assert_eq!(applied["warnings"][0]["code"], "image-on-overlay");
    on_overlay("release");
    umount(&top).unwrap();
    machine.assert_clean();
}

#[test]
fn a_larger_size_grows_an_equal_one_does_nothing_a_smaller_one_is_refused() {
    let machine = Machine::new();
    machine.apply();
    fs::write(machine.root().join("kept"), "kept").unwrap();
    let sized = |verb, size| {
        let mut command = machine.storage(verb);
        command.env("VAR_LIB_DOCKER_SIZE", size);
        command
    };
    let deferred = succeeds(&mut sized("apply", "128MiB"));
    assert_eq!(
        (&deferred["changed"], &deferred["warnings"][0]["code"]),
        (&false.into(), &"grow-deferred".into())
    );
    machine.release();
    let grown = succeeds(&mut sized("apply", "128MiB"));
    assert_eq!(steps(&grown)[1], "grow-image:done");
    let stat = nix::sys::statvfs::statvfs(&machine.root()).unwrap();
    assert!(stat.blocks() * stat.fragment_size() > 100 << 20, "{stat:?}");
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
    machine.release();
    let before = fs::read(machine.image()).unwrap();
    let refused = fails(&mut sized("apply", "64MiB"), "size-shrinks", 78);
    assert!(refused["error"]["message"].as_str().unwrap().contains("134217728"), "{refused}");
    assert!(before == fs::read(machine.image()).unwrap(), "the refused image was changed");
    let equal = succeeds(&mut sized("apply", "128MiB"));
    assert_eq!(steps(&equal), ["make-image:skipped", "attach-image:done", "mount-image:done"]);
    machine.release();
    machine.assert_clean();
}

#[test]
fn an_xfs_image_grows_too() {
    let machine = Machine::new();
    let sized = |verb, size| {
        let mut command = machine.storage(verb);
        command
            .env("VAR_LIB_DOCKER_SIZE", size)
            .env("DIND_STORAGE_FS", "xfs")
            .env("DIND_STORAGE_SPARSE", "true");
        command
    };
    let made = succeeds(&mut sized("apply", "320MiB"));
    assert_eq!(made["result"]["filesystem"], "xfs");
    machine.release();
    succeeds(&mut sized("apply", "512MiB"));
    let stat = nix::sys::statvfs::statvfs(&machine.root()).unwrap();
    assert!(stat.blocks() * stat.fragment_size() > 400 << 20, "{stat:?}");
    machine.release();
    machine.assert_clean();
}

#[test]
fn sixteen_at_once_get_sixteen_devices() {
    let machine = Machine::new();
    let start = |number: usize| {
        let mut command = machine.storage("apply");
        command.env("DIND_DATA_ROOT", machine.path(&format!("root{number}")));
        command.env("DIND_STORAGE_IMAGE", machine.path(&format!("images/{number}")));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let starts: Vec<_> = (0..16).map(start).collect();
    for start in starts {
        let output = start.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!((machine.mounts().len(), machine.loops().len()), (16, 16));
    for number in 0..16 {
        let mut command = machine.storage("release");
        command.env("DIND_DATA_ROOT", machine.path(&format!("root{number}")));
        succeeds(command.env("DIND_STORAGE_IMAGE", machine.path(&format!("images/{number}"))));
    }
    machine.assert_clean();
}

#[test]
fn a_namespace_that_dies_takes_mount_and_device_with_it() {
    let machine = Machine::new();
    let mut command = Command::new("unshare");
    command.arg("--mount").arg(bin("dind-storage")).arg("apply");
    machine.environment(&mut command);
    let applied = succeeds(&mut command);
    assert_eq!(applied["changed"], true);
    machine.assert_clean();
    let again = machine.apply();
    assert_eq!(steps(&again)[0], "make-image:skipped");
    machine.release();
    machine.assert_clean();
}

#[test]
fn who_holds_the_data_root_is_named_and_nothing_is_hidden() {
    let machine = Machine::new();
    machine.apply();
    let mut holder = Command::new("sleep").arg("600").current_dir(machine.root()).spawn().unwrap();
    let refused = fails(&mut machine.storage("release"), "still-in-use", 74);
    let causes = refused["error"]["causes"].to_string();
    assert!(causes.contains(&format!("process {} (sleep)", holder.id())), "{causes}");
    assert_eq!(machine.mounts().len(), 1);
    holder.kill().unwrap();
    holder.wait().unwrap();
    machine.release();
    machine.assert_clean();
}

#[test]
fn who_holds_it_in_another_namespace_is_named_too() {
    let machine = Machine::new();
    machine.apply();
    let mut holder = Command::new("unshare").args(["--mount", "sleep", "600"]).spawn().unwrap();
    eventually("the holder has its namespace", Duration::from_secs(5), || {
        fs::read_to_string(format!("/proc/{}/comm", holder.id()))
            .is_ok_and(|comm| comm == "sleep\n")
            .then_some(())
    });
    let output = machine.storage("release").output().unwrap();
    let refused = document(&output);
    assert_eq!((refused["error"]["code"].as_str(), output.status.code()), (Some("still-in-use"), Some(74)));
    let causes = refused["error"]["causes"].to_string();
    assert!(causes.contains(&format!("process {} (sleep)", holder.id())), "{causes}");
    assert_eq!(steps(&refused), ["unmount-image:done"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    machine.assert_clean();
}

#[test]
fn mounts_below_are_taken_down_first() {
    let machine = Machine::new();
    machine.apply();
    let below = machine.root().join("overlay2/a b/merged");
    fs::create_dir_all(&below).unwrap();
    mount(Some("tmpfs"), &below, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    assert_eq!(steps(&machine.release()), ["unmount:done", "unmount-image:done", "detach-image:done"]);
    machine.assert_clean();
}

#[test]
fn a_shared_volume_does_not_carry_the_mount_to_its_peers() {
    let machine = Machine::new();
    let (volume, peer) = (machine.path("volume"), machine.path("peer"));
    fs::create_dir(&volume).unwrap();
    fs::create_dir(&peer).unwrap();
    mount(Some("tmpfs"), &volume, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    mount(None::<&str>, &volume, None::<&str>, MsFlags::MS_SHARED, None::<&str>).unwrap();
    mount(Some(&volume), &peer, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let applied = succeeds(machine.storage("apply").env("DIND_DATA_ROOT", volume.join("docker")));
    assert_eq!(applied["warnings"][0]["code"], "propagation-stopped");
    let points = machine.mounts();
    assert!(points.iter().any(|point| Path::new(point) == volume.join("docker")), "{points:?}");
    assert!(!points.iter().any(|point| Path::new(point) == peer.join("docker")), "{points:?}");
    succeeds(machine.storage("release").env("DIND_DATA_ROOT", volume.join("docker")));
    umount(&peer).unwrap();
    umount(&volume).unwrap();
    machine.assert_clean();
}
