//! Seeds that are a file system in a file.

use super::host::{Host, files, golden_images};
use crate::machine::{steps, succeeds};
use dind_tests::{eventually, unique};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const FORMATS: [&str; 2] = ["erofs", "squashfs"];

/// Loop devices whose file lies at this path.
fn devices(seed: &Path) -> Vec<PathBuf> {
    let blocks = fs::read_dir("/sys/block").unwrap().flatten().map(|block| block.path());
    let is_of = |block: &PathBuf| {
        let file = fs::read_to_string(block.join("loop/backing_file")).unwrap_or_default();
        Path::new(file.trim_end().trim_end_matches(" (deleted)")) == seed
    };
    blocks.filter(is_of).collect()
}

fn none_is_left(seed: &Path) {
    eventually("no loop device is left", Duration::from_secs(5), || devices(seed).is_empty().then_some(()));
}

#[test]
fn a_file_is_mounted_and_nobody_can_write_to_it() {
    for format in FORMATS {
        let host = Host::native();
        let seed = host.seal(&host.golden("golden"), &unique("seed"), &["--format", format]);
        let plan = succeeds(&mut host.storage("plan", &[&seed]));
        assert_eq!(plan["result"]["seeds"][0]["digest"], serde_json::Value::Null);
        let applied = host.apply(&[&seed]);
        let expected = ["attach-seed:done", "merge-seeds:done", "bind-seeds:done"];
        assert_eq!(steps(&applied)[2..], expected, "{format}: {applied}");
        let planned: Vec<_> = steps(&plan).into_iter().filter(|step| step.contains("seed")).collect();
        assert_eq!(planned, ["attach-seed:planned", "merge-seeds:planned", "bind-seeds:planned"]);
        assert_eq!(host.images(), golden_images());
        let [device] = &devices(&seed)[..] else { panic!("{:?}", devices(&seed)) };
        assert_eq!(fs::read_to_string(device.join("ro")).unwrap().trim(), "1");
        let node = Path::new("/dev").join(device.file_name().unwrap());
        let before = fs::read(&seed).unwrap();
        let written = fs::OpenOptions::new().write(true).open(&node).and_then(|mut device| {
            device.write_all(&[0; 4096])?;
            device.sync_all()
        });
        assert!(written.is_err(), "the device takes writes");
        // Not even root of the node, by a mount that was read-only.
        let point = host.binds()[0].clone();
        let again = Command::new("mount").args(["-o", "remount,bind,rw"]).arg(&point).status().unwrap();
        assert!(fs::write(point.join("new"), "").is_err(), "{again}");
        assert_eq!(fs::read(&seed).unwrap(), before);
        succeeds(&mut host.storage("release", &[]));
        let again = host.apply(&[&seed]);
        assert_eq!(steps(&again)[2..], ["attach-seed:done", "merge-seeds:skipped", "bind-seeds:done"]);
        let same = host.apply(&[&seed]);
        assert_eq!(
            (&same["changed"], &steps(&same)[2..]),
            (
                &false.into(),
                &["attach-seed:skipped", "merge-seeds:skipped", "bind-seeds:skipped"].map(str::to_owned)[..]
            )
        );
        assert_eq!(steps(&host.release()), ["unbind-seeds:done", "detach-seed:done"]);
        none_is_left(&seed);
        host.assert_released();
    }
}

#[test]
fn nodes_with_the_same_file_share_its_device() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), &unique("seed"), &["--format", "erofs"]);
    let other = host.machine.path("other");
    fs::create_dir(&other).unwrap();
    let mut second = host.storage("apply", &[&seed]);
    second.env("DIND_DATA_ROOT", &other);
    host.apply(&[&seed]);
    succeeds(&mut second);
    assert_eq!(devices(&seed).len(), 1);
    let device = |root: &Path| {
        let layer =
            fs::read_dir(root.join("overlay2")).unwrap().flatten().find(|it| it.file_name() != "l").unwrap();
        std::os::unix::fs::MetadataExt::dev(&fs::metadata(layer.path().join("diff")).unwrap())
    };
    assert_eq!(device(&host.root()), device(&other));
    host.release();
    assert_eq!(devices(&seed).len(), 1, "the second node still uses it");
    succeeds(host.storage("release", &[]).env("DIND_DATA_ROOT", &other));
    none_is_left(&seed);
    host.assert_released();
}

#[test]
fn a_file_that_was_replaced_is_mounted_anew() {
    let host = Host::native();
    let golden = host.golden("golden");
    let name = unique("seed");
    let seed = host.seal(&golden, &name, &["--format", "erofs"]);
    host.apply(&[&seed]);
    let more = golden
        .data_root
        .layer(Some(&golden.app), "more", |diff| fs::write(diff.join("more"), "of more").unwrap());
    golden.data_root.image(&["more:1"], Some(&more));
    let seed = host.seal(&golden, &name, &["--format", "erofs"]);
    let applied = host.apply(&[&seed]);
    assert!(steps(&applied).contains(&"attach-seed:done".to_owned()), "{applied}");
    assert_eq!(
        host.images()["more:1"],
        files(&[("base", "of base"), ("app", "of app"), ("more", "of more")])
    );
    eventually("the old device is gone", Duration::from_secs(5), || {
        (devices(&seed).len() == 1).then_some(())
    });
    host.release();
    none_is_left(&seed);
    host.assert_released();
}

#[test]
fn a_failed_apply_detaches_the_file() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, &unique("seed"), &["--format", "erofs"]);
    let other = host.seal(&golden, "other", &[]);
    fs::remove_dir_all(other.join("overlay2").join(&golden.app.cache_id).join("diff")).unwrap();
    // The directory comes first, so its layer is bound, and missing.
    let before = host.tree();
    crate::machine::fails(&mut host.storage("apply", &[&other, &seed]), "seed-invalid", 78);
    assert_eq!(host.tree(), before);
    none_is_left(&seed);
    host.assert_released();
}
