//! The images of seeds come into a data root, once and for each start.

use super::host::{Host, files, golden_images};
use crate::machine::{steps, succeeds};
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn the_images_of_a_seed_are_there_and_a_second_apply_changes_nothing() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    let plan = succeeds(&mut host.storage("plan", &[&seed]));
    let first = host.apply(&[&seed]);
    let of_seeds = |steps: Vec<String>| -> Vec<String> {
        steps.into_iter().filter(|step| step.contains("seed")).collect()
    };
    assert_eq!(of_seeds(steps(&plan)), ["merge-seeds:planned", "bind-seeds:planned"]);
    assert_eq!(of_seeds(steps(&first)), ["merge-seeds:done", "bind-seeds:done"]);
    assert_eq!(host.images(), golden_images());
    let report = &first["result"]["seeds"][0];
    assert_eq!((&report["path"], &report["layers"]), (&seed.to_str().unwrap().into(), &2.into()));
    assert_eq!((&report["format"], &report["driver"]), (&1.into(), &"overlay2".into()));
    assert!(report["images"].as_array().unwrap().iter().all(|image| image["state"] == "present"), "{report}");
    assert_eq!(plan["result"]["seeds"][0]["images"][0]["state"], "planned");
    assert_eq!(first["result"]["own_images"], serde_json::json!([]));

    // Nothing can be written to, and nothing was copied: the files are the seed's.
    for bind in host.binds() {
        assert!(fs::write(bind.join("base"), "changed").is_err_and(|error| error.raw_os_error() == Some(30)));
    }
    let inode = |path: std::path::PathBuf| fs::metadata(path).map(|file| (file.dev(), file.ino())).unwrap();
    let of =
        |root: std::path::PathBuf| inode(root.join("overlay2").join(&golden.base.cache_id).join("diff/base"));
    assert_eq!(of(host.root()), of(seed.clone()));

    let before = host.tree();
    let second = host.apply(&[&seed]);
    assert_eq!(second["changed"], false, "{second}");
    assert_eq!(second["result"]["seeds"], first["result"]["seeds"]);
    assert_eq!(host.tree(), before);
    host.release();
    host.assert_released();
}

#[test]
fn after_a_restart_the_layers_are_mounted_again() {
    let host = Host::on_an_image();
    let seed = host.seal(&host.golden("golden"), "seed", &[]);
    for round in 0..3 {
        let applied = host.apply(&[&seed]);
        let merged = if round == 0 { "merge-seeds:done" } else { "merge-seeds:skipped" };
        assert!(steps(&applied).contains(&merged.to_owned()), "{applied}");
        assert!(steps(&applied).contains(&"bind-seeds:done".to_owned()), "{applied}");
        assert_eq!(host.images(), golden_images());
        assert_eq!(host.binds().len(), 2);
        assert_eq!(host.apply(&[&seed])["changed"], false);
        let released = host.release();
        assert_eq!(steps(&released), ["unbind-seeds:done", "unmount-image:done", "detach-image:done"]);
        host.assert_released();
    }
}

#[test]
fn what_the_data_root_has_is_never_overwritten() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    // The same lowest layer under another name of the driver's, an image of it with another content, and a name that the seed has.
    let own = dind_tests::store::DataRoot::new(&host.root(), "own");
    let base = own.layer(None, "base", |diff| fs::write(diff.join("base"), "my own").unwrap());
    let id = own.image(&["app:1", "mine:1"], Some(&base));
    let before = host.tree();
    let applied = host.apply(&[&seed]);
    let images = host.images();
    assert_eq!(images["app:1"], files(&[("base", "my own")]), "{images:?}");
    assert_eq!(images["app:latest"], files(&[("base", "my own"), ("app", "of app")]));
    assert_eq!(images["debian:12"], files(&[("base", "my own")]));
    assert_eq!(host.binds().len(), 1, "the layer of our own is not the seed's");
    let names = "image/overlay2/repositories.json";
    let after = host.tree();
    for (path, text) in before.iter().filter(|(path, _)| path.as_os_str() != names) {
        assert_eq!(after.get(path), Some(text), "{path:?}");
    }
    let own = &applied["result"]["own_images"];
    assert_eq!((own.as_array().unwrap().len(), &own[0]["id"]), (1, &id.into()), "{own}");
}

#[test]
fn of_several_seeds_the_first_that_has_a_layer_or_a_name_gives_it() {
    let host = Host::native();
    let first = host.golden("first");
    let second = host.golden("second");
    let more = second
        .data_root
        .layer(Some(&second.app), "more", |diff| fs::write(diff.join("more"), "of more").unwrap());
    second.data_root.image(&["more:1", "app:latest"], Some(&more));
    let seeds = [host.seal(&first, "seed1", &[]), host.seal(&second, "seed2", &[])];
    host.apply(&[&seeds[0], &seeds[1]]);
    let images = host.images();
    assert_eq!(images["more:1"], files(&[("base", "of base"), ("app", "of app"), ("more", "of more")]));
    assert_eq!(images["app:1"], golden_images()["app:1"]);
    let contents = super::contents::Contents::read(&host.root());
    let of_app = contents.names.values().find(|names| names.contains("app:1")).unwrap();
    assert!(of_app.contains("app:latest"), "{of_app:?}");
    let driver: Vec<_> =
        fs::read_dir(host.root().join("overlay2")).unwrap().flatten().map(|it| it.file_name()).collect();
    assert!(
        driver.contains(&first.app.cache_id.clone().into()) && !driver.contains(&second.app.cache_id.into())
    );
    // The other way round, each layer comes from the other; its names in the data root stay.
    let before = host.tree();
    let applied = host.apply(&[&seeds[1], &seeds[0]]);
    assert!(steps(&applied).contains(&"bind-seeds:done".to_owned()), "{applied}");
    assert_eq!(host.images().len(), 3);
    let changed = host.tree().into_iter().filter(|(path, text)| before.get(path) != Some(text));
    let changed: Vec<_> = changed.map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(changed, [".dind-seed/record.json", "image/overlay2/repositories.json"]);
    let contents = super::contents::Contents::read(&host.root());
    let of_more = contents.names.values().find(|names| names.contains("more:1")).unwrap();
    assert!(of_more.contains("app:latest"), "{of_more:?}");
}

#[test]
fn an_image_that_was_removed_stays_away_until_it_is_to_be_restored() {
    let host = Host::on_an_image();
    let seed = host.seal(&host.golden("golden"), "seed", &[]);
    host.apply(&[&seed]);
    let contents = super::contents::Contents::read(&host.root());
    let (id, _) = contents.names.iter().find(|(_, names)| names.contains("app:1")).unwrap();
    host.remove_image(id);
    assert_eq!(host.binds().len(), 1);
    for _ in 0..2 {
        host.release();
        let applied = host.apply(&[&seed]);
        assert_eq!(host.images().into_keys().collect::<Vec<_>>(), ["debian:12"]);
        let images = applied["result"]["seeds"][0]["images"].as_array().unwrap();
        let states: Vec<_> =
            images.iter().filter(|image| image["id"] == *id).map(|image| &image["state"]).collect();
        assert_eq!(states, ["removed"], "{applied}");
    }
    succeeds(host.storage("apply", &[&seed]).env("DIND_STORAGE_SEED_RESTORE", "true"));
    assert_eq!(host.images(), golden_images());
    host.release();
    host.assert_released();
}

#[test]
fn a_name_that_was_taken_away_or_moved_stays_so() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), "seed", &[]);
    host.apply(&[&seed]);
    let names = host.root().join("image/overlay2/repositories.json");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&names).unwrap()).unwrap();
    let debian = text["Repositories"]["debian"]["debian:12"].clone();
    let of_app = text["Repositories"]["app"].as_object_mut().unwrap();
    of_app.remove("app:latest");
    of_app["app:1"] = debian;
    fs::write(&names, text.to_string()).unwrap();
    let moved = host.root();
    for _ in 0..2 {
        host.apply(&[&seed]);
        let now: serde_json::Value = serde_json::from_slice(&fs::read(&names).unwrap()).unwrap();
        assert_eq!(now, text, "{moved:?}");
    }
    succeeds(host.storage("apply", &[&seed]).env("DIND_STORAGE_SEED_RESTORE", "true"));
    let now: serde_json::Value = serde_json::from_slice(&fs::read(&names).unwrap()).unwrap();
    assert!(now["Repositories"]["app"]["app:latest"].is_string(), "{now}");
    assert_eq!(now["Repositories"]["app"]["app:1"], text["Repositories"]["app"]["app:1"], "{now}");
}

#[test]
fn without_the_new_mount_calls_layers_are_bound_by_the_old_one() {
    use crate::strace::Strace;
    for error in ["ENOSYS", "EPERM"] {
        let host = Host::native();
        let seed = host.seal(&host.golden("golden"), "seed", &[]);
        let (output, log) =
            host.traced(&Strace::of("open_tree,mount_setattr").inject(&format!("error={error}")), &[&seed]);
        assert!(output.status.success() && crate::strace::is_injected(&log), "{output:?}");
        assert_eq!(host.images(), golden_images());
        for bind in host.binds() {
            assert!(fs::write(bind.join("new"), "").is_err(), "{bind:?} can be written to");
        }
        assert_eq!(host.apply(&[&seed])["changed"], false);
    }
}

#[test]
fn what_a_power_cut_has_damaged_is_written_again() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.apply(&[&seed]);
    host.release();
    let whole = host.tree();
    let images = host.root().join("image/overlay2");
    let record = host.root().join(".dind-seed/record.json");
    let other_boot = || {
        let text = fs::read_to_string(&record).unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        fs::write(&record, text.replace(boot.trim(), "another")).unwrap();
    };
    let layer = images.join("layerdb/sha256").join(&golden.app.chain_id);
    let cache = host.root().join("overlay2").join(&golden.app.cache_id);
    let content =
        fs::read_dir(images.join("imagedb/content/sha256")).unwrap().next().unwrap().unwrap().path();
    let damaged = [
        layer.join("tar-split.json.gz"),
        layer.join("cache-id"),
        layer.join("diff"),
        cache.join("link"),
        cache.join("lower"),
        content,
    ];
    for path in damaged {
        fs::write(&path, "").unwrap();
        other_boot();
        let applied = host.apply(&[&seed]);
        assert!(steps(&applied).contains(&"merge-seeds:done".to_owned()), "{path:?}: {applied}");
        assert_eq!(host.images(), golden_images(), "{path:?}");
        assert_eq!(host.apply(&[&seed])["changed"], false, "{path:?}");
        host.release();
        assert_eq!(host.tree(), whole, "{path:?}");
    }
}
