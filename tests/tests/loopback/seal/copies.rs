//! What is in a seed: the images and their layers as they were, and nothing else.

use super::{APP_DIGEST, Site};
use crate::machine::{run, succeeds};
use crate::tree::{SPARSE, see, set_acl};
use dind_tests::store::{Layer, digits, sha256};
use nix::mount::umount;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

fn manifest(seed: &Path) -> Value {
    serde_json::from_slice(&fs::read(seed.join("seed.json")).unwrap()).unwrap()
}

/// Every file of a seed but those of layers, with its content.
fn metadata(seed: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut below = vec![PathBuf::new()];
    while let Some(directory) = below.pop() {
        for entry in fs::read_dir(seed.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let name = directory.join(entry.file_name());
            if !entry.file_type().unwrap().is_dir() {
                // A short link leads to a directory.
                files.insert(name.display().to_string(), fs::read(entry.path()).unwrap_or_default());
            } else if entry.file_name() != "diff" {
                below.push(name);
            }
        }
    }
    files
}

fn assert_layers(site: &Site, seed: &Path, layers: &[&Layer]) {
    for layer in layers {
        let copy = seed.join("overlay2").join(&layer.cache_id).join("diff");
        assert_eq!(see(&copy), see(&site.root.diff(layer)), "{copy:?}");
    }
}

#[test]
fn a_directory_has_every_image_with_its_layers_as_they_were() {
    let site = Site::new();
    let document = site.sealed(&[]);
    assert_eq!(document["steps"], json!([{"op": "make-seed", "target": site.seed(), "state": "done"}]));
    let result = &document["result"];
    assert_eq!(
        (&result["form"], &result["layers"], &result["size_bytes"]),
        (&json!("dir"), &json!(3), &json!(3 * 4096))
    );
    let seed = site.seed();
    assert_eq!(result["digest"], format!("sha256:{}", sha256(fs::read(seed.join("seed.json")).unwrap())));
    assert_eq!(
        (
            fs::metadata(&seed).unwrap().mode() & 0o7777,
            fs::metadata(seed.join("seed.json")).unwrap().mode() & 0o7777
        ),
        (0o700, 0o644)
    );
    assert_layers(&site, &seed, &[&site.base, &site.top, &site.own]);
    let sparse = seed.join("overlay2").join(&site.base.cache_id).join("diff/sparse");
    assert!(fs::metadata(sparse).unwrap().blocks() * 512 <= 16 * SPARSE.1, "the holes were filled");

    let said = manifest(&seed);
    assert_eq!((&said["format"], &said["driver"]), (&json!(1), &json!("overlay2")));
    let names = |id: &String| {
        let image = said["images"].as_array().unwrap().iter().find(|image| image["id"] == **id);
        image.map(|image| image["names"].clone())
    };
    assert_eq!(
        site.ids.each_ref().map(names),
        [
            Some(json!(["base:1"])),
            Some(json!(["app:2", APP_DIGEST, "registry:5000/team/app:2"])),
            Some(json!([]))
        ]
    );
    let hides: BTreeMap<_, _> = said["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| (layer["cache_id"].as_str().unwrap(), &layer["hides_files"]))
        .collect();
    let (yes, no) = (&json!(true), &json!(false));
    assert_eq!(
        hides,
        [(&*site.base.cache_id, yes), (&*site.top.cache_id, yes), (&*site.own.cache_id, no)].into()
    );

    // The data root's own files, and no other: no mounts, no working directories, no short links.
    let original = metadata(&site.root.path);
    let mut copied = metadata(&seed);
    assert!(copied.remove("seed.json").is_some());
    let names: serde_json::Value =
        serde_json::from_slice(&copied["image/overlay2/repositories.json"]).unwrap();
    assert_eq!(names["Repositories"], site.root.names());
    for (name, content) in &copied {
        if name != "image/overlay2/repositories.json" {
            assert_eq!(Some(content), original.get(name), "{name}");
        }
    }
    let left_out: Vec<_> = original.keys().filter(|name| !copied.contains_key(*name)).collect();
    let links = left_out.iter().filter(|name| name.starts_with("overlay2/l/")).count();
    assert_eq!((links, left_out.len()), (3, 4), "{left_out:?}");
    assert!(left_out.contains(&&".dind-node".to_owned()));
    site.machine.assert_clean();
}

#[test]
fn the_digest_in_a_manifest_is_that_of_the_documented_command() {
    let site = Site::new();
    site.sealed(&[]);
    let script = "find image overlay2 -path 'overlay2/*/diff' -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum";
    let printed =
        std::process::Command::new("sh").args(["-c", script]).current_dir(site.seed()).output().unwrap();
    let digest = String::from_utf8(printed.stdout).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(manifest(&site.seed())["digest"], format!("sha256:{digest}"));
}

#[test]
fn two_seals_of_a_data_root_are_the_same() {
    let site = Site::new();
    let first = site.sealed(&["--format", "dir"])["result"]["digest"].clone();
    let again = site.machine.path("seeds/again");
    run("mv", &[site.seed().to_str().unwrap(), again.to_str().unwrap()]);
    assert_eq!(site.sealed(&[])["result"]["digest"], first);
    run(
        "diff",
        &[
            "--recursive",
            "--no-dereference",
            site.seed().to_str().unwrap(),
            again.to_str().unwrap(),
            "--exclude=diff",
        ],
    );
}

#[test]
fn chosen_images_come_with_what_they_need_and_with_all_their_names() {
    let site = Site::new();
    let seal = |name: &str, images: &[&str]| {
        let to = site.machine.path(name);
        let mut command = site.seal(&[]);
        let images: Vec<_> = images.iter().flat_map(|image| ["--images", image]).collect();
        let mut args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        args[4] = to.clone().into();
        command = std::process::Command::new(command.get_program());
        let document = succeeds(command.env_clear().args(args).args(images));
        assert_eq!(document["result"]["path"], to.to_str().unwrap());
        (to, document)
    };
    let (app, document) = seal("seeds/app", &["app:2"]);
    assert_eq!(
        document["result"]["images"],
        json!([{"id": site.ids[1], "names": ["app:2", APP_DIGEST, "registry:5000/team/app:2"]}])
    );
    assert_layers(&site, &app, &[&site.base, &site.top]);
    let files = metadata(&app);
    assert!(!files.keys().any(|name| name.contains(&site.own.cache_id)));
    let parent = format!("image/overlay2/imagedb/metadata/sha256/{}/parent", digits(&site.ids[1]));
    assert!(!files.contains_key(&parent), "the image that it was built on is not there");

    let id = &digits(&site.ids[0])[..12];
    let both = format!("{APP_DIGEST},{id}");
    let (both, document) = seal("seeds/both", &[&both, "docker.io/library/base:1"]);
    assert_eq!(
        (document["result"]["images"].as_array().unwrap().len(), &document["result"]["layers"]),
        (2, &json!(2))
    );
    assert!(metadata(&both).contains_key(&parent));
    let (own, _) = seal("seeds/own", &[&site.ids[2]]);
    assert_layers(&site, &own, &[&site.own]);
    site.machine.assert_clean();
}

#[test]
fn what_registries_know_of_layers_comes_along_without_what_was_made_of_passwords() {
    let site = Site::new();
    let (digest, diff_id) = (format!("sha256:{}", sha256("compressed")), &site.base.diff_ids[0]);
    let distribution = site.root.images().join("distribution");
    let put = |kind: &str, id: &str, text: &str| {
        let directory = distribution.join(kind).join("sha256");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(digits(id)), text).unwrap();
    };
    put("diffid-by-digest", &digest, diff_id);
    put("diffid-by-digest", &sha256("of another image"), "sha256:0");
    let entry =
        |mac: &str| json!([{"Digest": digest, "SourceRepository": "docker.io/library/base", "HMAC": mac}]);
    put("v2metadata-by-diffid", diff_id, &entry("0123456789abcdef").to_string());
    site.sealed(&["--images", "app:2"]);
    let files = metadata(&site.seed());
    let known: BTreeMap<_, _> = files
        .iter()
        .filter_map(|(name, text)| Some((name.strip_prefix("image/overlay2/distribution/")?, text)))
        .collect();
    let back = format!("diffid-by-digest/sha256/{}", digits(&digest));
    let forth = format!("v2metadata-by-diffid/sha256/{}", digits(diff_id));
    assert_eq!(known.keys().collect::<Vec<_>>(), [&back.as_str(), &forth.as_str()]);
    assert_eq!(String::from_utf8_lossy(known[&*back]), *diff_id);
    assert_eq!(serde_json::from_slice::<Value>(known[&*forth]).unwrap(), entry(""));
}

#[test]
fn an_access_control_list_is_kept_and_none_is_inherited() {
    let site = Site::new();
    set_acl(&site.root.diff(&site.own).join("own"), "system.posix_acl_access");
    set_acl(&site.root.diff(&site.own), "system.posix_acl_default");
    fs::create_dir_all(site.machine.path("seeds")).unwrap();
    set_acl(&site.machine.path("seeds"), "system.posix_acl_default");
    site.sealed(&[]);
    assert_layers(&site, &site.seed(), &[&site.base, &site.top, &site.own]);
    let metadata = see(&site.seed());
    let metadata =
        metadata.iter().filter(|(name, _)| !name.components().any(|part| part.as_os_str() == "diff"));
    assert!(metadata.clone().count() > 20);
    for (name, seen) in metadata {
        assert!(seen.attributes.is_empty(), "{name:?} has {:?}", seen.attributes);
    }
}

#[test]
fn a_file_system_in_a_file_has_the_same_and_two_are_byte_for_byte_the_same() {
    for form in ["erofs", "squashfs"] {
        let site = Site::new();
        let document = site.sealed(&["--format", form]);
        let result = &document["result"];
        let file = fs::metadata(site.seed()).unwrap();
        assert!(file.is_file(), "{document}");
        assert_eq!((file.mode() & 0o7777, &result["disk_bytes"]), (0o600, &json!(file.len())));
        let first = sha256(fs::read(site.seed()).unwrap());
        let point = site.machine.path("point");
        fs::create_dir(&point).unwrap();
        run("mount", &["--options", "loop,ro", site.seed().to_str().unwrap(), point.to_str().unwrap()]);
        assert_eq!(
            result["digest"],
            format!("sha256:{}", sha256(fs::read(point.join("seed.json")).unwrap()))
        );
        for layer in [&site.base, &site.top, &site.own] {
            let (mut copy, mut original) = (
                see(&point.join("overlay2").join(&layer.cache_id).join("diff")),
                see(&site.root.diff(layer)),
            );
            if form == "squashfs" {
                // It knows seconds only.
                copy.values_mut().chain(original.values_mut()).for_each(|seen| seen.whole_seconds());
            }
            assert_eq!(copy, original, "{form}");
        }
        umount(&point).unwrap();
        fs::remove_dir(&point).unwrap();
        fs::remove_file(site.seed()).unwrap();
        assert_eq!(site.sealed(&["--format", form])["result"]["digest"], result["digest"]);
        assert_eq!(sha256(fs::read(site.seed()).unwrap()), first, "{form}");
        fs::remove_file(site.seed()).unwrap();
        assert_eq!(
            site.sealed(&[])["result"]["digest"],
            result["digest"],
            "a directory has the same manifest"
        );
        site.machine.assert_clean();
    }
}

#[test]
fn where_files_share_blocks_a_seed_takes_none() {
    let site = Site::new();
    let (image, point) = (site.machine.path("image"), site.machine.path("point"));
    fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
    run("mkfs.xfs", &["-q", image.to_str().unwrap()]);
    fs::create_dir(&point).unwrap();
    run("mount", &["--options", "loop", image.to_str().unwrap(), point.to_str().unwrap()]);
    run("cp", &["--archive", site.root.path.to_str().unwrap(), point.join("root").to_str().unwrap()]);
    let large = point.join("root/overlay2").join(&site.own.cache_id).join("diff/large");
    fs::write(&large, vec![5; 100 << 20]).unwrap();
    run("sync", &["--file-system", point.to_str().unwrap()]);
    let used = || {
        let stat = nix::sys::statvfs::statvfs(&point).unwrap();
        (stat.blocks() - stat.blocks_free()) * stat.fragment_size()
    };
    let before = used();
    let mut command = std::process::Command::new(dind_tests::bin("dind-storage"));
    command
        .env_clear()
        .args(["seal", "--data-root"])
        .arg(point.join("root"))
        .arg("--to")
        .arg(point.join("seed"));
    succeeds(&mut command);
    assert!(used() - before < 16 << 20, "{} bytes more are used", used() - before);
    let copy = point.join("seed/overlay2").join(&site.own.cache_id).join("diff/large");
    assert_eq!(sha256(fs::read(copy).unwrap()), sha256(fs::read(large).unwrap()));
    umount(&point).unwrap();
    site.machine.assert_clean();
}
