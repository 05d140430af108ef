//! An image is made, mounted, reused, released.

use crate::machine::{Machine, steps, succeeds};
use dind_tests::bin;
use nix::mount::{MsFlags, mount, umount};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

#[test]
fn the_first_apply_makes_and_mounts_an_image_and_the_second_does_nothing() {
    let machine = Machine::new();
    let first = machine.apply();
    let expected = [
        "make-directory:done",
        "make-image:done",
        "attach-image:done",
        "make-directory:done",
        "mount-image:done",
        "adjust-reserve:done",
    ];
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
    assert_eq!(second["changed"], false);
    assert_eq!(steps(&second), ["mount-image:skipped", "adjust-reserve:skipped"]);
    assert_eq!(second["result"]["image"]["device"], image["device"]);
    assert_eq!(machine.mounts().len(), 1);

    let release = machine.release();
    assert_eq!(steps(&release), ["unmount-image:done", "detach-image:done"]);
    machine.assert_clean();
    let nothing = machine.release();
    assert_eq!((&nothing["changed"], steps(&nothing).len()), (&false.into(), 0));

    let third = machine.apply();
    let expected = [
        "make-image:skipped",
        "attach-image:done",
        "mount-image:done",
        "adjust-reserve:skipped",
        // Whether seeds were ever used in it is seen now.
        "merge-seeds:skipped",
    ];
    assert_eq!(steps(&third), expected);
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), b"kept");
    machine.release();
    machine.assert_clean();
}

#[test]
fn a_plan_changes_nothing_and_lists_the_steps_of_apply() {
    let machine = Machine::new();
    let plan = succeeds(&mut machine.storage("plan"));
    assert_eq!(plan["changed"], false);
    machine.assert_untouched();
    succeeds(machine.storage("plan").env("DIND_STORAGE_BACKING", "auto"));
    machine.assert_untouched();

    assert_eq!(dind_tests::steps(&plan, "planned"), dind_tests::steps(&machine.apply(), "done"));
    machine.release();
    machine.assert_clean();
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
    // On tmpfs, a reserve would take up memory.
    assert_eq!(steps(&applied), ["adjust-reserve:skipped", "name-node:done"]);
    let again = succeeds(machine.storage("apply").env("DIND_STORAGE_BACKING", "auto"));
    assert_eq!(again["changed"], false);
    let names = fs::read_dir(machine.root()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<BTreeSet<_>>(), [".dind-node", "content"].map(Into::into).into());
    succeeds(machine.storage("release").env("DIND_STORAGE_BACKING", "auto"));
    umount(&machine.root()).unwrap();
    machine.assert_clean();
}

#[test]
fn a_data_root_on_overlay_gets_a_loop_image() {
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
fn mount_and_device_end_with_the_namespace() {
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
fn mounts_below_are_unmounted_first() {
    let machine = Machine::new();
    machine.apply();
    let below = machine.root().join("overlay2/a b/merged");
    fs::create_dir_all(&below).unwrap();
    mount(Some("tmpfs"), &below, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    assert_eq!(steps(&machine.release()), ["unmount:done", "unmount-image:done", "detach-image:done"]);
    machine.assert_clean();
}

#[test]
fn the_mount_does_not_propagate_from_a_shared_volume_to_its_peers() {
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
    assert!(points.contains(&volume.join("docker")), "{points:?}");
    assert!(!points.contains(&peer.join("docker")), "{points:?}");
    succeeds(machine.storage("release").env("DIND_DATA_ROOT", volume.join("docker")));
    umount(&peer).unwrap();
    umount(&volume).unwrap();
    machine.assert_clean();
}
