//! Disks that are full, small or limited.

use dind_tests::outer::{LIMIT, LOOP, Node, SLEEP, Volume, docker, engine_version, inner_image};
use dind_tests::{eventually, scratch, unique};
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The first engine with an image store in containerd.
const CONTAINERD_STORE: (u64, u64) = (24, 0);

/// What the storage tool says now, through the launcher.
fn space(node: &Node) -> Value {
    node.record()["documents"]["storage-now"]["result"]["space"].take()
}

fn has_warning(warnings: &Value, code: &str) -> bool {
    warnings.as_array().unwrap().iter().any(|warning| warning["code"] == code)
}

/// An inner container writes until nothing is left, to the last block, and stays, with all that it has written.
fn fill(node: &Node) {
    let script = "dd if=/dev/zero of=/a bs=1M; dd if=/dev/zero of=/b bs=4k; i=0; while mkdir /d$i; do i=$((i+1)); done";
    let _ = node.inner_docker(&["run", "--name", "filler", &inner_image(), "sh", "-c", script]);
    assert!(space(node)["available_bytes"].as_u64().unwrap() < 64 << 10, "{}", space(node));
}

/// A node whose disk an inner container has filled starts again, and can be pruned.
fn fill_and_start_again(node: &Node) {
    node.until_running();
    assert!(!has_warning(&node.record()["warnings"], "space-low"), "{}", node.log());
    fill(node);
    let status: Value = serde_json::from_str(&node.exec(&["dind-launch", "status"]).ok()).unwrap();
    assert!(has_warning(&status["warnings"], "space-low"), "{status}");

    for round in 0..3 {
        docker(&["kill", &node.name]).ok();
        assert_eq!(node.exit_status(), 137);
        node.start_again();
        assert!(has_warning(&node.record()["warnings"], "space-low"), "round {round}: {}", node.log());
        let _ = node.inner_docker(&["start", "--attach", "filler"]);
    }
    node.inner(&["system", "prune", "--force"]);
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    docker(&["restart", &node.name]).ok();
    node.until_running();
    assert!(!has_warning(&node.record()["warnings"], "space-low"), "{}", node.log());
    let reserve = node.exec(&["sh", "-c", "ls $DIND_DATA_ROOT/.dind-reserve | wc -l"]).ok();
    assert_eq!(reserve, "64", "the reserve is whole again");
}

#[test]
fn a_node_with_a_full_image_starts_again_and_can_be_pruned() {
    let size = ["--env", "VAR_LIB_DOCKER_SIZE=512MiB"];
    fill_and_start_again(&Node::start(&[&LOOP[..2], &size].concat(), SLEEP));
}

#[test]
fn a_node_with_a_full_volume_starts_again_and_can_be_pruned() {
    let disk = Disk::new(512);
    let volume = format!("{}:/var/lib/docker", disk.volume);
    fill_and_start_again(&Node::start(
        &["--volume", &volume, "--env", "DIND_DATA_ROOT=/var/lib/docker"],
        SLEEP,
    ));
}

#[test]
fn an_archive_without_room_keeps_no_full_node_from_its_start() {
    let archives = scratch();
    let large = Image::new(8 << 20);
    let volume = format!("{}:/archives", archives.path().display());
    let size =
        ["--volume", &volume, "--env", "DIND_PRELOAD=/archives", "--env", "VAR_LIB_DOCKER_SIZE=256MiB"];
    let node = Node::start(&[&LOOP[..2], &size].concat(), SLEEP);
    node.until_running();
    node.exec(&["docker", "load", "--quiet", "--input", "/preload/inner.tar"]).ok();
    fill(&node);
    docker(&["save", "--output", archives.path().join("large.tar").to_str().unwrap(), &large.0]).ok();
    for round in 0..2 {
        docker(&["restart", &node.name]).ok();
        node.until_running();
        let warnings = node.record()["warnings"].take();
        assert!(has_warning(&warnings, "preload-failed"), "round {round}: {}", node.log());
    }
    node.inner(&["system", "prune", "--force"]);
    docker(&["restart", &node.name]).ok();
    node.until_running();
    assert!(!node.inner(&["images", "--quiet", &large.0]).is_empty(), "{}", node.log());
}

/// An image of the outer engine whose layer no compression makes smaller.
struct Image(String);

impl Image {
    fn new(bytes: usize) -> Self {
        let directory = scratch();
        let random = directory.path().join("random");
        let mut source = File::open("/dev/urandom").unwrap().take(bytes as u64);
        std::io::copy(&mut source, &mut File::create(&random).unwrap()).unwrap();
        let layer = directory.path().join("layer.tar");
        let of = directory.path().to_str().unwrap();
        run("tar", &["--create", "--file", layer.to_str().unwrap(), "--directory", of, "random"]);
        let name = format!("{}:1", unique("image"));
        docker(&["import", layer.to_str().unwrap(), &name]).ok();
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = docker(&["rmi", &self.0]);
    }
}

#[test]
fn a_node_without_inodes_starts_again() {
    let size = ["--env", "VAR_LIB_DOCKER_SIZE=128MiB"];
    let node = Node::start(&[&LOOP[..2], &size].concat(), SLEEP);
    node.until_running();
    let script = "seq 40000 | xargs touch";
    let _ = node.inner_docker(&["run", "--name", "filler", &inner_image(), "sh", "-c", script]);
    assert!(space(&node)["available_inodes"].as_u64().unwrap() < 16, "{}", space(&node));
    docker(&["restart", &node.name]).ok();
    node.until_running();
    let warnings = node.record()["warnings"].to_string();
    assert!(warnings.contains("space-low") && warnings.contains("inodes"), "{warnings}");
    node.inner(&["rm", "filler"]);
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
}

#[test]
fn a_full_image_on_a_volume_grows_with_a_larger_size() {
    let data = Volume::new();
    let start = |size: &str| {
        let size = format!("VAR_LIB_DOCKER_SIZE={size}");
        let volume = format!("{}:/data", data.name);
        Node::start(&["--volume", &volume, "--env", "DIND_DATA_ROOT=/srv/docker", "--env", &size], SLEEP)
    };
    let small = start("256MiB");
    small.until_running();
    fill(&small);
    assert_eq!(small.stop().0, 143, "{}", small.log());
    let large = start("512MiB");
    large.until_running();
    assert!(space(&large)["available_bytes"].as_u64().unwrap() > 100 << 20, "{}", space(&large));
    assert_eq!(large.inner(&["ps", "--all", "--format", "{{.Names}}"]), "filler");
}

#[test]
fn a_size_that_limits_nothing_is_warned_of() {
    let node = Node::start(&["--env", "VAR_LIB_DOCKER_SIZE=1", "--env", "DIND_STORAGE_FS=ext4"], SLEEP);
    node.until_running();
    let log = node.log();
    assert!(log.contains("VAR_LIB_DOCKER_SIZE=1, DIND_STORAGE_FS=ext4 have no effect"), "{log}");
    assert!(log.contains("DIND_STORAGE_BACKING=loop"), "{log}");
    assert!(has_warning(&node.record()["warnings"], "option-ignored"), "{log}");

    let limited = ["--env", "VAR_LIB_DOCKER_SIZE=512MiB", "--env", "DIND_STORAGE_BACKING=loop"];
    let node = Node::start(&limited, SLEEP);
    node.until_running();
    assert!(!has_warning(&node.record()["warnings"], "option-ignored"), "{}", node.log());
}

#[test]
fn an_xfs_image_has_quotas_for_single_containers() {
    // One that was made before: the image under test may have no mkfs.xfs. The kernel looks for the quotas at each mount.
    let directory = scratch();
    let file = directory.path().join("docker");
    File::create(&file).unwrap().set_len(512 << 20).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    run("mkfs.xfs", &["-q", "-L", "dind-docker", file.to_str().unwrap()]);
    let data = format!("{}:/data", directory.path().display());
    let on = ["--volume", &data, "--env", "DIND_DATA_ROOT=/srv/docker"];
    let start = |options: &[&str]| Node::start(&[&on, options].concat(), SLEEP);
    let write = |node: &Node, mib: u32| {
        let script = format!("dd if=/dev/zero of=/f bs=1M count={mib}");
        let limited = ["run", "--rm", "--storage-opt", "size=50m", &inner_image(), "sh", "-c", &script];
        node.inner_docker(&limited).status
    };
    let is_warned = |node: &Node| has_warning(&node.record()["warnings"], "quota-unavailable");
    let node = start(&["--env", "DIND_STORAGE_STORE=graph"]);
    node.until_running();
    let mounts = node.exec(&["cat", "/proc/self/mountinfo"]).ok();
    let has_quotas = mounts.lines().any(|line| line.contains(" /srv/docker ") && line.contains("prjquota"));
    // What a kernel without them says is in its log and in the node's.
    assert_eq!(has_quotas, !is_warned(&node), "{mounts}");
    if has_quotas {
        assert_eq!((write(&node, 40), write(&node, 60)), (0, 1));
    } else {
        assert_ne!(write(&node, 40), 0);
    }
    assert_eq!(node.stop().0, 143, "{}", node.log());
    drop(node);

    // containerd's store has none, and the engine starts such a container all the same.
    if engine_version() >= CONTAINERD_STORE {
        let node = start(&["--env", "DIND_STORAGE_STORE=containerd"]);
        node.until_running();
        assert!(is_warned(&node), "{}", node.log());
        assert_eq!(write(&node, 60), 0);
    }
}

#[test]
fn an_xfs_image_is_made_or_the_error_says_how_the_node_image_gets_the_program() {
    let xfs = ["--env", "VAR_LIB_DOCKER_SIZE=512MiB", "--env", "DIND_STORAGE_FS=xfs"];
    let node = Node::start(&[&LOOP[..2], &xfs].concat(), SLEEP);
    let has_program = docker(&["run", "--rm", "--entrypoint", "mkfs.xfs", &dind_tests::outer::image(), "-V"]);
    if has_program.status == 0 {
        assert_eq!(node.until_running().record()["documents"]["storage"]["result"]["filesystem"], "xfs");
    } else {
        assert_eq!(node.exit_status(), 125);
        let log = node.log();
        assert!(log.contains("helper-missing") && log.contains("--build-arg XFS=true"), "{log}");
    }
}

/// A disk of its own for a volume of the outer engine: ext4 on a loop device.
struct Disk {
    device: String,
    volume: String,
    _file: tempfile::TempDir,
}

impl Disk {
    fn new(mib: u64) -> Self {
        let directory = scratch();
        let file = directory.path().join("disk");
        File::create(&file).unwrap().set_len(mib << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", "-m", "0", file.to_str().unwrap()]);
        let device = run("losetup", &["--find", "--show", file.to_str().unwrap()]);
        let (volume, on) = (unique("volume"), format!("device={device}"));
        docker(&["volume", "create", "--opt", "type=ext4", "--opt", &on, &volume]).ok();
        Self { device, volume, _file: directory }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Its node is gone, and with it the mount.
        let _ = docker(&["volume", "rm", &self.volume]);
        eventually("the device is free", LIMIT, || {
            let detached = Command::new("losetup").args(["--detach", &self.device]).status();
            detached.is_ok_and(|status| status.success()).then_some(())
        });
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
