//! What is refused, before anything is made.

use super::Site;
use crate::machine::{fails, run};
use crate::tree::{set_acl, set_attribute};
use dind_tests::store::DataRoot;
use dind_tests::{bin, copy_of};
use nix::mount::{MsFlags, mount, umount};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

fn refused(site: &Site, args: &[&str], code: &str, status: i32) -> Value {
    let document = fails(&mut site.seal(args), code, status);
    site.assert_untouched();
    document
}

fn message(document: &Value) -> &str {
    document["error"]["message"].as_str().unwrap()
}

#[test]
fn who_may_not_is_told_what_is_missing() {
    let site = Site::new();
    let copy = copy_of("dind-storage", &site.machine.path(""));
    let args: Vec<_> = site.seal(&[]).get_args().map(ToOwned::to_owned).collect();
    fails(Command::new(&copy).env_clear().args(&args).uid(65534).gid(65534), "not-root", 77);
    let mut without = Command::new("setpriv");
    without.env_clear().args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]).arg(&copy).args(&args);
    fails(&mut without, "cap-sys-admin-missing", 77);
    let mut mapped = Command::new("unshare");
    mapped.env_clear().args(["--user", "--map-root-user", "--mount"]).arg(bin("dind-storage")).args(&args);
    let document = fails(&mut mapped, "data-root-unsuitable", 78);
    assert!(message(&document).contains("user namespace"), "{document}");
    fails(site.seal(&[]).env("DIND_ROOT", "/srv"), "root-is-fake", 78);
    site.assert_untouched();
}

#[test]
fn invalid_options_change_nothing() {
    let site = Site::new();
    refused(&site, &["--format", "tar"], "format-unknown", 78);
    let document = refused(&site, &["--images", "alpine"], "image-unknown", 78);
    let causes = document["error"]["causes"].as_array().unwrap();
    assert!(causes.iter().any(|cause| cause == "base:1"), "{document}");
    assert_eq!(causes.len(), 3);
    refused(&site, &["--images", ""], "image-unknown", 78);
    // Options of the other verbs are not this one's, nor the other way round.
    for other in [["--driver", "overlay2"], ["--size", "5"]] {
        assert_eq!(site.seal(&other).output().unwrap().status.code(), Some(2));
    }
    let output =
        Command::new(bin("dind-storage")).env_clear().args(["plan", "--to", "/srv/x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    site.assert_untouched();
}

/// A seal to another place.
fn to(site: &Site, path: &Path) -> Command {
    fs::create_dir_all(site.machine.path("seeds")).unwrap();
    let mut command = Command::new(bin("dind-storage"));
    command.env_clear().env("DIND_DATA_ROOT", &site.root.path).arg("seal").arg("--to").arg(path);
    command
}

#[test]
fn a_seed_has_a_place_of_its_own() {
    let site = Site::new();
    fails(&mut to(&site, &site.root.path.join("seed")), "path-invalid", 78);
    fails(&mut to(&site, site.root.path.parent().unwrap()), "path-invalid", 78);
    fails(&mut to(&site, &site.machine.path("none/seed")), "path-unsafe", 78);
    symlink(site.machine.path("seeds"), site.machine.path("link")).unwrap();
    fails(&mut to(&site, &site.machine.path("link/seed")), "path-unsafe", 78);
    site.assert_untouched();
    let make: [fn(&Path) -> std::io::Result<()>; 3] =
        [|path| fs::create_dir(path), |path| fs::write(path, "kept"), |path| symlink("/etc", path)];
    for make in make {
        make(&site.seed()).unwrap();
        let before = fs::symlink_metadata(site.seed()).unwrap();
        for form in ["dir", "erofs"] {
            fails(&mut site.seal(&["--format", form]), "seed-exists", 73);
        }
        assert_eq!(site.beside(), ["one"]);
        assert_eq!(
            before.modified().unwrap(),
            fs::symlink_metadata(site.seed()).unwrap().modified().unwrap()
        );
        if before.is_dir() { fs::remove_dir(site.seed()) } else { fs::remove_file(site.seed()) }.unwrap();
    }
    // What has the name of the working directory, and is none of ours.
    fs::write(site.machine.path("seeds/.one.tmp"), "kept").unwrap();
    let document = fails(&mut site.seal(&[]), "seed-not-made", 73);
    assert!(message(&document).contains(".one.tmp is not a directory"), "{document}");
    assert_eq!(site.beside(), [".one.tmp"]);
}

#[test]
fn a_data_root_without_images_of_the_driver_is_named() {
    let site = Site::new();
    let seal = |root: &DataRoot| {
        let mut command = to(&site, &site.seed());
        let document = fails(command.env("DIND_DATA_ROOT", &root.path), "data-root-unsuitable", 78);
        assert_eq!(site.beside(), [""; 0]);
        message(&document).to_owned()
    };
    let root = DataRoot::new(&site.machine.path("other"), "other");
    assert!(seal(&root).contains("it has no images"));
    fs::create_dir_all(
        root.path.join("containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots/1"),
    )
    .unwrap();
    assert!(seal(&root).contains("containerd's image store"));
    root.image(&["a:1"], None);
    fs::rename(root.images(), root.path.join("image/vfs")).unwrap();
    assert!(seal(&root).contains("the driver vfs"));
    fs::rename(&root.path, site.machine.path("moved")).unwrap();
    assert!(seal(&root).contains("there is no such directory"));
}

#[test]
fn an_image_that_is_not_whole_is_refused_by_name_and_no_hindrance_to_others() {
    for (broken, what) in [
        ("overlay2/TOP/link", "link"),
        ("overlay2/TOP/diff", "diff"),
        ("overlay2/TOP", "link"),
        ("image/overlay2/layerdb/sha256/CHAIN", "cache-id"),
        ("image/overlay2/layerdb/sha256/CHAIN/parent", "parent"),
        ("image/overlay2/layerdb/sha256/CHAIN/size", "size"),
    ] {
        let site = Site::new();
        let path = broken.replace("TOP", &site.top.cache_id).replace("CHAIN", &site.top.chain_id);
        let path = site.root.path.join(path);
        run("mv", &[path.to_str().unwrap(), &format!("{}-removing", path.display())]);
        let document = refused(&site, &[], "data-root-broken", 74);
        assert!(message(&document).contains(what), "{document}");
        site.sealed(&["--images", "base:1"]);
    }
    let site = Site::new();
    let content =
        site.root.images().join("imagedb/content/sha256").join(dind_tests::store::digits(&site.ids[1]));
    fs::write(content, "{}").unwrap();
    let document = refused(&site, &[], "data-root-broken", 74);
    assert!(message(&document).contains("another digest"), "{document}");
    fs::write(site.root.images().join("repositories.json"), "{").unwrap();
    refused(&site, &[], "data-root-broken", 74);
}

#[test]
fn a_layer_of_a_seed_is_sealed_where_the_seed_is_bound_and_refused_where_it_is_not() {
    let site = Site::new();
    let record = site.root.path.join(".dind-seed/record.json");
    fs::create_dir(record.parent().unwrap()).unwrap();
    let entry = json!({ "cache_id": site.own.cache_id, "link": site.own.link });
    let layers = json!({ format!("sha256:{}", site.own.chain_id): entry });
    let text = json!({ "version": 1, "layers": layers });
    fs::write(&record, text.to_string()).unwrap();
    let diff = site.root.diff(&site.own);
    let elsewhere = site.machine.path("elsewhere");
    fs::rename(&diff, &elsewhere).unwrap();
    fs::create_dir(&diff).unwrap();
    let document = refused(&site, &[], "data-root-unsuitable", 78);
    assert!(message(&document).contains("is that of a seed"), "{document}");
    mount(Some(&elsewhere), &diff, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    for form in ["dir", "erofs"] {
        site.sealed(&["--format", form]);
        if form == "dir" {
            let copy = site.seed().join("overlay2").join(&site.own.cache_id).join("diff/own");
            assert_eq!(fs::read(copy).unwrap(), b"file");
            fs::remove_dir_all(site.seed()).unwrap();
        }
    }
    umount(&diff).unwrap();
}

#[test]
fn what_a_format_or_another_node_cannot_have_is_named() {
    let site = Site::new();
    let own = site.root.diff(&site.own).join("own");
    set_acl(&own, "system.posix_acl_access");
    let document = refused(&site, &["--format", "squashfs"], "seed-not-made", 73);
    assert!(
        message(&document).contains("POSIX ACL") && message(&document).contains("diff/own"),
        "{document}"
    );
    set_attribute(&site.root.diff(&site.own), "user.overlay.opaque", b"y");
    let document = refused(&site, &[], "data-root-unsuitable", 78);
    assert!(message(&document).contains("user namespace"), "{document}");
}

#[test]
fn a_mount_below_a_layer_is_no_part_of_it() {
    let site = Site::new();
    let point = site.root.diff(&site.base).join("gone");
    mount(Some("tmpfs"), &point, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let document = fails(&mut site.seal(&[]), "data-root-broken", 74);
    assert!(message(&document).contains("another file system is mounted there"), "{document}");
    umount(&point).unwrap();
    site.assert_untouched();
}

#[test]
fn too_little_space_is_found_before_anything_is_written() {
    let site = Site::new();
    fs::write(site.root.diff(&site.own).join("large"), vec![1; 30 << 20]).unwrap();
    let small = site.machine.path("small");
    fs::create_dir(&small).unwrap();
    let mounted =
        |options| mount(Some("tmpfs"), &small, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
    mounted("size=8m");
    for form in ["dir", "erofs"] {
        let document = fails(to(&site, &small.join("seed")).args(["--format", form]), "space-short", 73);
        assert!(message(&document).contains("8388608 bytes are available"), "{document}");
        assert_eq!(fs::read_dir(&small).unwrap().count(), 0);
    }
    umount(&small).unwrap();
    mounted("nr_inodes=20");
    let document = fails(&mut to(&site, &small.join("seed")), "space-short", 73);
    assert!(message(&document).contains("inodes"), "{document}");
    assert_eq!(fs::read_dir(&small).unwrap().count(), 0);
    umount(&small).unwrap();
    // How small a squashfs gets is known at its end.
    fs::write(
        site.root.diff(&site.own).join("random"),
        (0..4_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>(),
    )
    .unwrap();
    mounted("size=1m");
    let document = fails(to(&site, &small.join("seed")).args(["--format", "squashfs"]), "space-short", 73);
    assert!(message(&document).contains("mksquashfs"), "{document}");
    assert_eq!(fs::read_dir(&small).unwrap().count(), 0);
    umount(&small).unwrap();
    site.assert_untouched();
}

#[test]
fn marks_of_an_overlay_are_not_written_into_another() {
    let site = Site::new();
    let top = site.machine.path("over");
    for name in ["lower", "upper", "work", "over"] {
        fs::create_dir(site.machine.path(name)).unwrap();
    }
    let options =
        ["lower", "upper", "work"].map(|name| format!("{name}dir={}", site.machine.path(name).display()));
    mount(Some("overlay"), &top, Some("overlay"), MsFlags::empty(), Some(options.join(",").as_str()))
        .unwrap();
    let document = fails(&mut to(&site, &top.join("seed")), "seed-not-made", 73);
    assert!(document["error"]["hint"].as_str().unwrap().contains("--format erofs"), "{document}");
    assert_eq!(fs::read_dir(&top).unwrap().count(), 0);
    assert!(to(&site, &top.join("seed")).args(["--format", "erofs"]).output().unwrap().status.success());
    assert!(to(&site, &top.join("own")).args(["--images", &site.ids[2]]).output().unwrap().status.success());
    umount(&top).unwrap();
}

#[test]
fn a_program_that_is_not_installed_is_named() {
    let site = Site::new();
    for (form, program, package) in
        [("erofs", "mkfs.erofs", "erofs-utils"), ("squashfs", "mksquashfs", "squashfs-tools")]
    {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        mount(Some("/dev/null"), found.trim(), None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        let document = refused(&site, &["--format", form], "helper-missing", 78);
        assert!(document["error"]["hint"].as_str().unwrap().contains(package), "{document}");
    }
}
