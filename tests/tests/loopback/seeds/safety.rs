//! Seeds that cannot be trusted, are not whole, or do not fit.

use super::host::{Host, golden_images, link};
use crate::machine::{fails, succeeds};
use nix::mount::{MsFlags, mount, umount};
use nix::unistd::{Gid, Uid, chown};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[test]
fn a_seed_that_others_can_change_is_refused() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), "deep", &[]);
    let above = host.safe("above");
    fs::create_dir(&above).unwrap();
    fs::rename(&seed, above.join("seed")).unwrap();
    let seed = above.join("seed");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
    for path in
        [above.clone(), seed.clone(), seed.join("seed.json"), seed.join("image"), seed.join("overlay2")]
    {
        let right = mode(&path);
        for wrong in [right | 0o020, right | 0o002, right | 0o1002] {
            fs::set_permissions(&path, Permissions::from_mode(wrong)).unwrap();
            let refused = host.refused(&[&seed], "seed-unsafe", 78);
            let message = refused["error"]["message"].as_str().unwrap();
            assert!(message.contains(path.to_str().unwrap()), "{message}");
        }
        fs::set_permissions(&path, Permissions::from_mode(right)).unwrap();
        chown(&path, Some(Uid::from_raw(1000)), None::<Gid>).unwrap();
        host.refused(&[&seed], "seed-unsafe", 78);
        chown(&path, Some(Uid::from_raw(0)), None::<Gid>).unwrap();
    }
    let real = host.safe("real");
    fs::rename(&above, &real).unwrap();
    link(&real, &above);
    host.refused(&[&seed], "seed-unsafe", 78);
    host.apply(&[&real.join("seed")]);
    assert_eq!(host.images(), golden_images());
}

/// A process of this very container that locks a database, as bbolt does in an engine.
struct Engine(Child);

impl Engine {
    fn of(database: &Path) -> Self {
        let mut flock = Command::new("flock");
        flock.arg(database).args(["sh", "-c", "echo locked; cat"]);
        let mut flock = flock.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(flock.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        Self(flock)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn under_a_running_engine_nothing_is_changed() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), "seed", &[]);
    let database = host.root().join("volumes/metadata.db");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    let engine = Engine::of(&database);
    let before = host.tree();
    let refused = fails(&mut host.storage("apply", &[&seed]), "data-root-in-use", 75);
    assert!(refused["error"]["message"].as_str().unwrap().contains("an engine runs on it"), "{refused}");
    assert_eq!(host.tree(), before);
    drop(engine);
    host.apply(&[&seed]);
    let _engine = Engine::of(&database);
    assert_eq!(host.apply(&[&seed])["changed"], false);
    fails(&mut host.storage("apply", &[]), "data-root-in-use", 75);
    assert_eq!(host.images(), golden_images());
}

#[test]
fn a_seed_in_a_directory_for_everybody_is_refused() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), "seed", &[]);
    let public = host.machine.path("seed");
    fs::rename(&seed, &public)
        .or_else(|_| std::process::Command::new("cp").arg("-a").args([&seed, &public]).status().map(drop))
        .unwrap();
    let refused = host.refused(&[&public], "seed-unsafe", 78);
    assert!(refused["error"]["message"].as_str().unwrap().contains("`/tmp`"), "{refused}");
}

#[test]
fn what_is_no_seed_or_is_damaged_is_refused() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    host.refused(&[&host.safe("none")], "seed-missing", 78);
    let empty = host.safe("empty");
    fs::create_dir(&empty).unwrap();
    host.refused(&[&empty], "seed-invalid", 78);
    let file = host.safe("file");
    fs::write(&file, vec![0; 8192]).unwrap();
    let document = crate::machine::fails(&mut host.storage("apply", &[&file]), "seed-invalid", 78);
    assert!(document["error"]["message"].as_str().unwrap().contains("erofs"), "{document}");

    let damaged =
        seed.join("image/overlay2/layerdb/sha256").join(&golden.app.chain_id).join("tar-split.json.gz");
    let whole = fs::read(&damaged).unwrap();
    fs::write(&damaged, "changed").unwrap();
    let refused = host.refused(&[&seed], "seed-invalid", 78);
    assert!(refused["error"]["message"].as_str().unwrap().contains("digest"), "{refused}");
    fs::write(&damaged, whole).unwrap();

    let manifest = fs::read_to_string(seed.join("seed.json")).unwrap();
    let newer = manifest.replacen("\"format\": 1", "\"format\": 2", 1);
    assert_ne!(newer, manifest);
    fs::write(seed.join("seed.json"), newer).unwrap();
    host.refused(&[&seed], "seed-invalid", 78);
    fs::write(seed.join("seed.json"), manifest.replace("\"overlay2\"", "\"btrfs\"")).unwrap();
    host.refused(&[&seed], "seed-unsuitable", 78);
    fs::write(seed.join("seed.json"), manifest).unwrap();
    host.apply(&[&seed]);
    assert_eq!(host.images(), golden_images());
}

#[test]
fn a_seed_for_another_driver_or_in_the_data_root_is_refused() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), "seed", &[]);
    for verb in ["plan", "apply"] {
        let mut command = host.storage(verb, &[&seed]);
        let refused = crate::machine::fails(command.env("DIND_STORAGE_DRIVER", "vfs"), "seed-unsuitable", 78);
        assert!(refused["error"]["message"].as_str().unwrap().contains("vfs"), "{refused}");
    }
    host.refused(&[&host.root().join("seed")], "path-invalid", 78);
    host.refused(&[host.root().parent().unwrap()], "path-invalid", 78);
}

/// `docker build` copies a seed into another overlay, and there the devices 0:0 in it mean that nothing is there.
#[test]
fn a_seed_on_an_overlay_that_has_swallowed_its_whiteouts_is_refused() {
    let host = Host::native();
    let golden = host.golden("golden");
    let seed = host.seal(&golden, "seed", &[]);
    let top = host.safe("top");
    for name in ["lower", "upper", "work", "top"] {
        fs::create_dir(host.safe(name)).unwrap();
    }
    let overlay = |lower: &std::path::Path| {
        let names = [
            ("lowerdir", lower.to_owned()),
            ("upperdir", host.safe("upper")),
            ("workdir", host.safe("work")),
        ];
        let options = names.map(|(name, path)| format!("{name}={}", path.display())).join(",");
        mount(Some("overlay"), &top, Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap();
    };
    fs::rename(&seed, host.safe("lower").join("seed")).unwrap();
    overlay(&host.safe("lower"));
    let on_overlay = top.join("seed");
    let refused = host.refused(&[&on_overlay], "seed-unsuitable", 78);
    let text = refused["error"]["hint"].as_str().unwrap();
    assert!(text.contains("--format erofs"), "{text}");
    // One that hides nothing is as good there as anywhere.
    umount(&top).unwrap();
    let plain = host.seal(&golden, "plain", &["--images", "debian:12"]);
    fs::rename(&plain, host.safe("lower").join("plain")).unwrap();
    overlay(&host.safe("lower"));
    host.apply(&[&top.join("plain")]);
    assert_eq!(host.images().len(), 1);
    succeeds(&mut host.storage("release", &[]));
    umount(&top).unwrap();
}

/// What an engine does with devices and set-user-id programs in a layer, it does by its own overlay.
#[test]
fn flags_of_the_seeds_mount_do_not_reach_containers() {
    let host = Host::native();
    let golden = host.golden("golden");
    let layer = golden.data_root.layer(None, "programs", |diff| {
        fs::copy("/bin/true", diff.join("true")).unwrap();
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        mknod(&diff.join("null"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
        fs::copy("/usr/bin/id", diff.join("id")).unwrap();
        fs::set_permissions(diff.join("id"), Permissions::from_mode(0o4755)).unwrap();
    });
    golden.data_root.image(&["programs:1"], Some(&layer));
    let seed = host.seal(&golden, "seed", &[]);
    mount(Some(&seed), &seed, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(None::<&str>, &seed, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | flags, None::<&str>)
        .unwrap();
    host.apply(&[&seed]);
    let diff = host.root().join("overlay2").join(&layer.cache_id).join("diff");
    let found = nix::sys::statvfs::statvfs(&diff).unwrap().flags();
    use nix::sys::statvfs::FsFlags;
    assert!(found.contains(FsFlags::ST_RDONLY | FsFlags::ST_NODEV | FsFlags::ST_NOSUID | FsFlags::ST_NOEXEC));
    let merged = host.machine.path("container");
    fs::create_dir(&merged).unwrap();
    fs::create_dir(host.safe("nothing")).unwrap();
    let options = format!("lowerdir={}:{}", diff.display(), host.safe("nothing").display());
    mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap();
    fs::write(merged.join("null"), "nothing").unwrap();
    assert!(std::process::Command::new(merged.join("true")).status().unwrap().success());
    use std::os::unix::process::CommandExt;
    let as_nobody = std::process::Command::new(merged.join("id")).arg("-u").uid(65534).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&as_nobody.stdout).trim(), "0", "{as_nobody:?}");
    umount(&merged).unwrap();
    host.release();
    umount(&seed).unwrap();
}

/// Overlays of a user namespace do not see the attributes that hide files (`trusted.overlay.*`).
#[test]
fn in_a_user_namespace_a_seed_that_hides_files_is_refused_and_any_other_is_used() {
    let host = Host::native();
    let golden = host.golden("golden");
    let hides = host.seal(&golden, "hides", &[]);
    let plain = host.seal(&golden, "plain", &["--images", "debian:12"]);
    let plan = |seed: &std::path::Path| {
        let mut command = std::process::Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount"])
            .arg(dind_tests::bin("dind-storage"))
            .arg("plan");
        host.machine.environment(&mut command);
        host.environment(&mut command, &[seed]);
        command
    };
    let refused = crate::machine::fails(&mut plan(&hides), "seed-unsuitable", 78);
    assert!(refused["error"]["message"].as_str().unwrap().contains("user namespace"), "{refused}");
    assert_eq!(succeeds(&mut plan(&plain))["result"]["seeds"][0]["layers"], 1);
    let file = host.seal(&golden, "plain.erofs", &["--images", "debian:12", "--format", "erofs"]);
    crate::machine::fails(&mut plan(&file), "seed-unsuitable", 78);
}

/// What root of a node tries against a seed on a read-only mount: to write as it is, through the bind of a layer made writable, and
/// through a bind of its own. The flag of a mount that comes from a namespace with more rights is locked (mount_namespaces(7)).
const ATTEMPTS: &str = r#"
    for layer in "$ROOT"/overlay2/*/diff; do
        echo changed >"$layer/base"
        mount -o remount,bind,rw "$layer" && echo changed >"$layer/base"
    done
    mkdir -p "$ROOT/x" && mount --bind "$SEED" "$ROOT/x" && mount -o remount,bind,rw "$ROOT/x"
    touch "$ROOT"/x/overlay2/*/diff/base "$ROOT/x/more" && echo more >"$ROOT/x/more"
    umount "$ROOT/x"; true"#;

#[test]
fn root_of_a_user_namespace_cannot_change_a_seed_on_a_read_only_mount() {
    let host = Host::native();
    let seed = host.seal(&host.golden("golden"), "seed", &["--images", "debian:12"]);
    mount(Some(&seed), &seed, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(None::<&str>, &seed, None::<&str>, read_only, None::<&str>).unwrap();
    let node = |namespaces: &[&str]| {
        let script =
            format!("\"$STORAGE\" apply >/dev/null || exit 99\n{ATTEMPTS}\n\"$STORAGE\" release >/dev/null");
        let words = [namespaces, &["sh", "-c", &script]].concat();
        let mut command = Command::new(words[0]);
        host.machine.environment(&mut command);
        host.environment(&mut command, &[&seed]);
        command.args(&words[1..]).env("ROOT", host.root()).env("SEED", &seed);
        let output = command.env("STORAGE", dind_tests::bin("dind-storage")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let is_changed = || {
        let layers = fs::read_dir(seed.join("overlay2")).unwrap().flatten();
        let mut texts = layers.filter_map(|layer| fs::read_to_string(layer.path().join("diff/base")).ok());
        seed.join("more").exists() || !texts.all(|text| text == "of base")
    };
    let complaints = node(&["unshare", "--user", "--map-root-user", "--mount"]);
    assert!(!is_changed() && complaints.contains("Read-only file system"), "{complaints}");
    host.renew();
    // The control: root of the machine can.
    let complaints = node(&["env"]);
    assert!(is_changed(), "{complaints}");
    umount(&seed).unwrap();
}
