//! A release unmounts what is a seed's, and a failed apply takes back all of it.

use super::host::{Host, golden_images};
use crate::machine::{steps, succeeds};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;

#[test]
fn a_release_unmounts_the_layers_and_leaves_what_is_known_of_them() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), "seed", &[]);
    host.apply(&[&seed]);
    let record = fs::read(host.root().join(".dind-seed/record.json")).unwrap();
    let released = host.release();
    assert_eq!(steps(&released), ["unbind-seeds:done"]);
    assert_eq!(host.binds(), [""; 0].map(std::path::PathBuf::from));
    assert_eq!(fs::read(host.root().join(".dind-seed/record.json")).unwrap(), record);
    let nothing = host.release();
    assert_eq!((&nothing["changed"], steps(&nothing).len()), (&false.into(), 0));
    // A bind that is gone on its own is none to release.
    host.apply(&[&seed]);
    umount2(&host.binds()[0], MntFlags::empty()).unwrap();
    assert_eq!(steps(&host.release()), ["unbind-seeds:done"]);
    host.assert_released();
}

#[test]
fn mounts_that_are_not_a_seeds_are_left_by_a_release_of_a_data_root_that_is_used_as_it_is() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), "seed", &[]);
    host.apply(&[&seed]);
    let own = host.root().join("overlay2/own/diff");
    fs::create_dir_all(&own).unwrap();
    mount(Some("tmpfs"), &own, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    host.release();
    assert_eq!(host.binds(), std::slice::from_ref(&own));
    umount2(&own, MntFlags::empty()).unwrap();
}

#[test]
fn a_container_that_still_runs_does_not_keep_a_layer_mounted() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    let driver = host.root().join("overlay2");
    let merged = host.machine.path("container");
    fs::create_dir(&merged).unwrap();
    let of = |cache_id: &str| driver.join(cache_id).join("diff").display().to_string();
    let lower = format!("lowerdir={}:{}", of(&golden.app.cache_id), of(&golden.base.cache_id));
    mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(lower.as_str())).unwrap();
    host.release();
    assert_eq!(host.binds().len(), 0);
    assert_eq!(fs::read_to_string(merged.join("app")).unwrap(), "of app");
    umount2(&merged, MntFlags::empty()).unwrap();
    host.assert_released();
}

/// The last thing that an apply does is to bind; a layer that is missing from the seed lets it fail there.
#[test]
fn an_apply_that_fails_at_the_last_layer_leaves_what_was_there() {
    for host in [Host::native as fn() -> Host, Host::on_an_image] {
        let host = host();
        let golden = host.golden("golden");
        let small = host.seal(&golden, "small", &["--images", "debian:12"]);
        let seed = host.seal(&golden, "seed", &[]);
        host.apply(&[&small]);
        let before = (host.tree(), host.binds());
        fs::rename(seed.join("overlay2").join(&golden.app.cache_id).join("diff"), host.safe("elsewhere"))
            .unwrap();
        let output = host.storage("apply", &[&seed]).output().unwrap();
        let document = crate::machine::document(&output);
        assert_eq!(document["error"]["code"], "seed-invalid", "{document}");
        assert!(steps(&document).contains(&"merge-seeds:undone".to_owned()), "{document}");
        assert_eq!((host.tree(), host.binds()), before);
        assert_eq!(host.apply(&[&small])["changed"], false);
        host.release();
        host.assert_released();
    }
}

#[test]
fn many_cycles_leave_no_mount_no_device_and_nothing_unfinished() {
    let host = Host::on_an_image();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    let file = host.seal(&host.golden("other"), "seed.erofs", &["--format", "erofs"]);
    host.apply(&[&seed, &file]);
    let whole = host.tree();
    host.release();
    let cycles = std::env::var("DIND_TEST_CYCLES").map_or(60, |text| text.parse().unwrap());
    for cycle in 0..cycles {
        match cycle % 3 {
            0 => {
                host.apply(&[&seed, &file]);
                assert_eq!(host.images(), golden_images());
            }
            1 => _ = host.apply(&[]),
            _ => _ = host.apply(&[&file]),
        }
        host.release();
        assert_eq!(host.binds().len(), 0);
    }
    host.assert_released();
    host.apply(&[&seed, &file]);
    let now = host.tree();
    // Seeds that come one after the other give the same content under the names of the first.
    assert_eq!(
        now.keys().filter(|path| path.starts_with("image")).count(),
        whole.keys().filter(|path| path.starts_with("image")).count()
    );
    assert!(!host.root().join(".dind-seed/work").exists());
    host.release();
    host.assert_released();
    succeeds(&mut host.storage("plan", &[&seed]));
}
