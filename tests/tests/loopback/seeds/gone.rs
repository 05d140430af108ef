//! A seed that is gone, or another one, at the next start: no image is left without its files, and nothing of the user's own is
//! lost.

use super::host::{Golden, Host, files, golden_images};
use crate::machine::{fails, steps, succeeds};
use dind_tests::store::Layer;
use serde_json::Value;
use std::fs;

/// Code and message of the warnings about seeds.
fn warnings(document: &Value) -> Vec<(&str, &str)> {
    let warnings = document["warnings"].as_array().unwrap().iter();
    let pairs =
        warnings.map(|warning| (warning["code"].as_str().unwrap(), warning["message"].as_str().unwrap()));
    pairs.filter(|(code, _)| code.starts_with("seed")).collect()
}

/// An image of the user's own upon `app:1`.
fn own_image(host: &Host, golden: &Golden) -> (Layer, String) {
    let root = host.data_root("own");
    let layer = root.layer(Some(&golden.app), "own", |diff| fs::write(diff.join("own"), "of own").unwrap());
    let id = root.image(&["mine:1", "mine:2"], Some(&layer));
    root.image_metadata(&id, "parent", "sha256:x");
    (layer, id)
}

fn own_files() -> std::collections::BTreeMap<String, String> {
    files(&[("base", "of base"), ("app", "of app"), ("own", "of own")])
}

#[test]
fn the_images_of_a_seed_that_is_gone_are_taken_out_and_come_back_with_it() {
    for host in [Host::native as fn() -> Host, Host::on_an_image] {
        let host = host();
        let seed = host.seal(&host.golden("golden"), "seed", &[]);
        host.apply(&[&seed]);
        let whole = host.tree();
        host.release();
        let without = host.apply(&[]);
        let [(code, message)] = warnings(&without)[..] else { panic!("{without}") };
        assert_eq!(code, "seed-images-removed");
        assert!(
            message.contains("`/srv/seed`") && message.contains("app:1") && message.contains("debian:12"),
            "{message}"
        );
        assert_eq!((host.images().len(), host.binds().len()), (0, 0));
        let left: Vec<_> =
            fs::read_dir(host.root().join("overlay2")).unwrap().flatten().map(|it| it.file_name()).collect();
        assert_eq!(left, ["l"], "directories of the driver's are left");
        let again = host.apply(&[]);
        assert_eq!((&again["changed"], warnings(&again).len()), (&false.into(), 0), "{again}");
        host.release();
        host.apply(&[&seed]);
        assert_eq!(host.images(), golden_images());
        assert_eq!(host.tree(), whole);
        host.release();
        host.assert_released();
    }
}

#[test]
fn images_of_the_users_own_are_set_aside_and_come_back_with_the_seed() {
    let host = Host::on_an_image();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    let (_, id) = own_image(&host, &golden);
    assert_eq!(host.images()["mine:1"], own_files());
    let whole = host.tree();
    host.release();
    let without = host.apply(&[]);
    let [(removed, _), (aside, message)] = warnings(&without)[..] else { panic!("{without}") };
    assert_eq!((removed, aside), ("seed-images-removed", "seed-images-set-aside"));
    assert!(message.contains("mine:1") && !message.contains("app"), "{message}");
    assert_eq!(host.images().len(), 0);
    assert_eq!(host.apply(&[])["changed"], false);
    host.release();
    let back = host.apply(&[&seed]);
    assert_eq!(host.images()["mine:1"], own_files());
    assert_eq!(back["result"]["own_images"][0]["id"], id);
    assert_eq!(back["result"]["own_images"][0]["names"], serde_json::json!(["mine:1", "mine:2"]));
    let now = host.tree();
    let differ: Vec<_> = whole.iter().filter(|(path, text)| now.get(*path) != Some(text)).collect();
    // The record is the same, too: nothing of all that is left.
    assert!(differ.is_empty(), "{differ:?}");
    host.release();
    host.assert_released();
}

#[test]
fn containers_that_need_a_seed_that_is_gone_are_refused_to_be_lost() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    let (own, _) = own_image(&host, &golden);
    let of_seed = host.container("of-seed", &golden.base);
    let of_own = host.container("of-own", &own);
    host.release();
    let refused = host.refused(&[], "seed-needed", 78);
    let message = refused["error"]["message"].as_str().unwrap();
    for name in ["of-seed", "of-own", "/srv/seed"] {
        assert!(message.contains(name), "{message}");
    }
    assert!(refused["error"]["causes"][0].as_str().unwrap().contains("mine:1"), "{refused}");
    assert!(refused["error"]["hint"].as_str().unwrap().contains("DIND_STORAGE_SEED_MISSING=set-aside"));
    let whole = host.tree();

    let aside = |seeds: &[&std::path::Path]| {
        succeeds(host.storage("apply", seeds).env("DIND_STORAGE_SEED_MISSING", "set-aside"))
    };
    let document = aside(&[]);
    let (_, message) = warnings(&document)[1];
    assert!(
        message.contains("of-seed") && message.contains("of-own") && message.contains("mine:1"),
        "{message}"
    );
    for id in [&of_seed, &of_own] {
        assert!(!host.root().join("containers").join(id).exists());
        assert!(!host.root().join("image/overlay2/layerdb/mounts").join(id).exists());
        assert!(
            host.root().join(format!("overlay2/{id}-own/diff/written")).exists(),
            "its files are not there"
        );
    }
    assert_eq!(host.images().len(), 0);
    assert_eq!(aside(&[])["changed"], false);
    host.apply(&[&seed]);
    let now = host.tree();
    for (path, text) in &whole {
        assert_eq!(now.get(path), Some(text), "{path:?}");
    }
    assert_eq!(host.images()["mine:1"], own_files());
}

#[test]
fn an_image_in_a_loop_image_is_refused_after_the_mount_and_the_mount_is_undone() {
    let host = Host::on_an_image();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    host.container("of-seed", &golden.app);
    host.release();
    let refused = fails(&mut host.storage("apply", &[]), "seed-needed", 78);
    assert!(steps(&refused).iter().all(|step| !step.ends_with(":done")), "{refused}");
    host.assert_released();
    host.apply(&[&seed]);
    assert_eq!(host.images(), golden_images());
}

/// A seed that is sealed again, from a data root that has more by now: what both have stays as it is, under its names.
#[test]
fn a_seed_that_was_updated_replaces_what_it_changes() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    let (own, _) = own_image(&host, &golden);
    host.container("of-own", &own);
    host.container("of-seed", &golden.app);
    host.release();
    let more = golden
        .data_root
        .layer(Some(&golden.app), "more", |diff| fs::write(diff.join("more"), "of more").unwrap());
    golden.data_root.image(&["app:latest", "more:1"], Some(&more));
    let seed = host.seal(&golden, "seed", &[]);
    let updated = host.apply(&[&seed]);
    assert!(warnings(&updated).is_empty(), "{updated}");
    let images = host.images();
    let with_more = files(&[("base", "of base"), ("app", "of app"), ("more", "of more")]);
    assert_eq!(images.len(), 4, "{images:?}");
    assert_eq!(images["mine:1"], own_files());
    assert_eq!((&images["app:1"], &images["app:latest"]), (&golden_images()["app:1"], &with_more));

    // Sealed elsewhere, the same layers have other names: what was made from them still has them.
    host.release();
    let elsewhere = host.golden("elsewhere");
    let seed = host.seal(&elsewhere, "seed", &[]);
    let updated = host.apply(&[&seed]);
    let [(code, message)] = warnings(&updated)[..] else { panic!("{updated}") };
    assert!(code == "seed-images-removed" && message.contains("app:latest"), "{message}");
    let images = host.images();
    assert_eq!(images["mine:1"], own_files());
    assert_eq!(images["app:1"], golden_images()["app:1"]);
    assert!(host.root().join("overlay2").join(&golden.app.cache_id).exists());
    assert_eq!(host.apply(&[&seed])["changed"], false);
}

#[test]
fn a_seed_without_the_layers_of_the_last_one_takes_them_away() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    own_image(&host, &golden);
    host.release();
    let small = host.seal(&golden, "seed", &["--images", "debian:12"]);
    let changed = host.apply(&[&small]);
    let codes: Vec<_> = warnings(&changed).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["seed-images-removed", "seed-images-set-aside"]);
    assert_eq!(host.images().into_keys().collect::<Vec<_>>(), ["debian:12"]);
    assert_eq!(host.binds().len(), 1);
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    assert_eq!(host.images()["mine:1"], own_files());
    assert_eq!(host.images().len(), 3);
}

/// What the user has pulled while the seed was gone has other names; what comes back finds it.
#[test]
fn what_comes_back_finds_layers_that_were_pulled_meanwhile() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    let (own_layer, _) = own_image(&host, &golden);
    host.release();
    host.apply(&[]);
    let pulled = host.data_root("pulled");
    let base = pulled.layer(None, "base", |diff| fs::write(diff.join("base"), "pulled").unwrap());
    let app = pulled.layer(Some(&base), "app", |diff| fs::write(diff.join("app"), "pulled").unwrap());
    pulled.image(&["pulled:1"], Some(&app));
    host.apply(&[]);
    let own = host.root().join("image/overlay2/layerdb/sha256");
    let own: Vec<_> = fs::read_dir(own).unwrap().flatten().map(|it| it.path()).collect();
    assert_eq!(own.len(), 3, "the layer upon them is not back");
    let cache = host.root().join("overlay2");
    for entry in fs::read_dir(cache.join("l")).unwrap().flatten() {
        assert!(entry.path().exists(), "{entry:?} leads nowhere");
    }
    let names = super::contents::Contents::read(&host.root()).names;
    assert!(names.values().any(|names| names.contains("mine:1")), "{names:?}");
    let of_own = fs::read_to_string(cache.join(&own_layer.cache_id).join("lower")).unwrap();
    for short in of_own.split(':') {
        assert!(cache.join(short).exists(), "{short} of {of_own} leads nowhere");
    }
}
