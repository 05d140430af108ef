//! Images that are cloned from a golden one. `refusals`: golden images that cannot be cloned, and clones that do not fit. `sweep`: a
//! first apply that is killed, or meets an error, at each of its system calls.

mod refusals;
mod sweep;

use crate::machine::{Machine, fails, run, steps, succeeds};
use nix::mount::{MntFlags, umount2};
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// What an apply of a clone that nobody has asked to grow does, apart from directories and device nodes. The reserve may be in the
/// clone already.
const STEPS: [&str; 4] =
    ["make-image:done", "attach-image:done", "mount-image:done", "remove-engine-id:done"];

/// Makes a golden image of a data root, as an engine would leave it.
fn golden(machine: &Machine, path: &Path, variables: &[(&str, &str)]) {
    let storage = |verb| {
        let mut command = machine.storage(verb);
        command.envs(variables.iter().copied()).env("DIND_STORAGE_IMAGE", path);
        succeeds(&mut command);
    };
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    storage("apply");
    fs::write(machine.root().join("kept"), "kept".repeat(100_000)).unwrap();
    fs::write(machine.root().join("engine-id"), "the golden engine").unwrap();
    storage("release");
    fs::remove_dir(machine.root()).unwrap();
}

fn clone(machine: &Machine, verb: &str, from: &Path) -> Command {
    let mut command = machine.storage(verb);
    command.env("DIND_STORAGE_IMAGE_FROM", from).env("VAR_LIB_DOCKER_SIZE", "");
    command
}

/// UUID and label, as others read them.
fn identity(image: &Path) -> (String, String) {
    let value = |tag| {
        let output =
            Command::new("blkid").args(["-p", "-o", "value", "-s", tag]).arg(image).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    (value("UUID"), value("LABEL"))
}

fn without_directories(document: &Value) -> Vec<String> {
    let names = ["make-directory", "make-loop-node"];
    steps(document).into_iter().filter(|step| !names.iter().any(|name| step.starts_with(name))).collect()
}

fn is_clone_of(machine: &Machine, golden: &Path, before: &[u8], how: &str) -> Value {
    let planned = succeeds(&mut clone(machine, "plan", golden));
    assert_eq!(planned["result"]["image"]["from"], golden.to_str().unwrap(), "{planned}");
    assert_eq!(planned["result"]["image"].get("cloned"), None, "{planned}");
    assert!(!machine.image().exists());
    let applied = succeeds(&mut clone(machine, "apply", golden));
    assert_eq!(applied["result"]["image"]["cloned"], how, "{applied}");
    assert_eq!(without_directories(&applied)[..4], STEPS, "{applied}");
    assert_eq!(fs::read(machine.root().join("kept")).unwrap(), "kept".repeat(100_000).as_bytes());
    assert!(!machine.root().join("engine-id").exists());
    fs::write(machine.root().join("mine"), "mine").unwrap();
    let again = succeeds(&mut clone(machine, "apply", golden));
    assert_eq!((&again["changed"], &again["warnings"]), (&false.into(), &Value::Array(vec![])), "{again}");
    machine.release();
    let ((uuid, _), (own, label)) = (identity(golden), identity(&machine.image()));
    assert!(own != uuid && own.len() == 36 && label == "dind-docker", "{own} of {uuid}, labelled {label}");
    assert!(fs::read(golden).unwrap() == before, "the golden image was changed");
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert_eq!(size(&machine.image()), size(golden));
    applied
}

#[test]
fn where_blocks_cannot_be_shared_those_in_use_are_copied_and_the_rest_is_reserved() {
    let machine = Machine::new();
    let from = machine.path("golden/image");
    golden(&machine, &from, &[]);
    run("tune2fs", &["-L", "another", from.to_str().unwrap()]);
    let before = fs::read(&from).unwrap();
    let applied = is_clone_of(&machine, &from, &before, "copy");
    assert_eq!(applied["result"]["image"]["sparse"], false);
    assert!(fs::metadata(machine.image()).unwrap().blocks() * 512 >= 64 << 20, "it is sparse");
    run("e2fsck", &["-f", "-n", machine.image().to_str().unwrap()]);
    // A second one of its own.
    let first = identity(&machine.image()).0;
    fs::remove_file(machine.image()).unwrap();
    succeeds(&mut clone(&machine, "apply", &from));
    machine.release();
    assert_ne!(identity(&machine.image()).0, first);
    machine.assert_clean();
}

#[test]
fn a_sparse_clone_takes_what_the_golden_image_has_in_use() {
    let machine = Machine::new();
    let from = machine.path("golden/image");
    golden(&machine, &from, &[("VAR_LIB_DOCKER_SIZE", "512MiB")]);
    assert!(fs::metadata(&from).unwrap().blocks() * 512 >= 500 << 20, "the golden image is sparse");
    let mut apply = clone(&machine, "apply", &from);
    let applied = succeeds(apply.env("DIND_STORAGE_SPARSE", "true"));
    assert_eq!(applied["warnings"][0]["code"], "image-sparse", "{applied}");
    let taken = fs::metadata(machine.image()).unwrap().blocks() * 512;
    assert!(taken < 100 << 20, "{taken} bytes");
    machine.release();
    machine.assert_clean();
}

#[test]
fn a_clone_shares_the_blocks_on_xfs() {
    let machine = Machine::new();
    machine.volume("mkfs.xfs");
    shares(&machine, &[]);
}

#[test]
fn a_clone_shares_the_blocks_on_btrfs() {
    let machine = Machine::new();
    machine.volume("mkfs.btrfs");
    shares(&machine, &[]);
}

#[test]
fn an_xfs_is_cloned_with_a_uuid_of_its_own() {
    let machine = Machine::new();
    machine.volume("mkfs.xfs");
    shares(&machine, &[("DIND_STORAGE_FS", "xfs"), ("VAR_LIB_DOCKER_SIZE", "320MiB")]);
}

#[test]
fn an_xfs_with_small_sectors_is_cloned_and_mounted() {
    let machine = Machine::new();
    let from = machine.volume("mkfs.xfs").join("golden");
    File::create(&from).unwrap().set_len(320 << 20).unwrap();
    fs::set_permissions(&from, Permissions::from_mode(0o600)).unwrap();
    run("mkfs.xfs", &["-q", "-s", "size=512", "-L", "dind-docker", from.to_str().unwrap()]);
    shares(&machine, &[("VAR_LIB_DOCKER_SIZE", "")]);
}

fn shares(machine: &Machine, variables: &[(&str, &str)]) {
    let from = machine.path("images/golden");
    golden(machine, &from, variables);
    let before = fs::read(&from).unwrap();
    let applied = is_clone_of(machine, &from, &before, "reflink");
    let warning = &applied["warnings"][0];
    assert_eq!(warning["code"], "image-shares-blocks", "{applied}");
    assert!(warning["message"].as_str().unwrap().contains(from.to_str().unwrap()), "{warning}");
    // The golden image in its place is mounted beside its clone, which XFS refuses for one with the same UUID.
    succeeds(&mut clone(machine, "apply", &from));
    let other = machine.path("other");
    let mut both = machine.storage("apply");
    both.env("VAR_LIB_DOCKER_SIZE", "").env("DIND_STORAGE_IMAGE", &from).env("DIND_DATA_ROOT", &other);
    succeeds(&mut both);
    assert!(other.join("engine-id").exists() && !other.join("mine").exists());
    let mut release = machine.storage("release");
    succeeds(release.env("DIND_STORAGE_IMAGE", &from).env("DIND_DATA_ROOT", &other));
    machine.release();
    assert_eq!(machine.temporaries(), [""; 0]);
    umount2(&machine.path("images"), MntFlags::empty()).unwrap();
}

#[test]
fn a_clone_grows_and_is_never_smaller_than_its_golden_image() {
    let machine = Machine::new();
    let from = machine.path("golden/image");
    golden(&machine, &from, &[("VAR_LIB_DOCKER_SIZE", "128MiB")]);
    let mut smaller = clone(&machine, "apply", &from);
    let refused = fails(smaller.env("VAR_LIB_DOCKER_SIZE", "64MiB"), "size-shrinks", 78);
    assert!(refused["error"]["message"].as_str().unwrap().contains(from.to_str().unwrap()), "{refused}");
    machine.assert_untouched();
    let mut larger = clone(&machine, "apply", &from);
    let grown = succeeds(larger.env("VAR_LIB_DOCKER_SIZE", "256MiB"));
    assert_eq!(without_directories(&grown)[..2], ["make-image:done", "grow-image:done"]);
    let stat = nix::sys::statvfs::statvfs(&machine.root()).unwrap();
    assert!(stat.blocks() * stat.fragment_size() > 200 << 20);
    assert!(machine.root().join("kept").exists());
    machine.release();
    machine.assert_clean();
}

#[test]
fn an_image_that_exists_is_left_alone() {
    let machine = Machine::new();
    let from = machine.path("golden/image");
    golden(&machine, &from, &[]);
    machine.apply();
    machine.release();
    let before = fs::read(machine.image()).unwrap();
    let planned = succeeds(&mut clone(&machine, "plan", &from));
    assert_eq!(planned["warnings"][0]["code"], "option-ignored", "{planned}");
    let message = planned["warnings"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("DIND_STORAGE_IMAGE_FROM="), "{message}");
    assert!(fs::read(machine.image()).unwrap() == before);
    let applied = succeeds(&mut clone(&machine, "apply", &from));
    assert_eq!(steps(&applied)[0], "make-image:skipped");
    assert!(!machine.root().join("kept").exists());
    machine.release();
    machine.assert_clean();
}
