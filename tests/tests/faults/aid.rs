//! What the cases share: a loop image to look after, a folder that the test and the containers see, and a node's state
//! as its own /proc tells it.

use dind_tests::outer::{LIMIT, Node, docker, unique};
use dind_tests::{eventually, outer};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

pub(crate) const SLEEP: &[&str] = &["sleep", "infinity"];

/// An inner container that ends on TERM and whose shell does nothing meanwhile.
pub(crate) const SLEEPS: &str = "trap 'exit 0' TERM; sleep infinity & wait";

/// One that does not end on TERM.
pub(crate) const IGNORES: &str = "trap '' TERM; sleep infinity & while :; do wait; done";

/// A loop image on a folder of the test. The data root lies on the container's own overlay.
pub(crate) struct Image {
    folder: tempfile::TempDir,
    name: String,
}

impl Image {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir_in("/var/tmp").unwrap(), name: unique("image") }
    }

    /// What `docker run` needs for it.
    pub(crate) fn options(&self) -> Vec<String> {
        let volume = format!("{}:/data", self.folder.path().display());
        let image = format!("DIND_STORAGE_IMAGE=/data/{}", self.name);
        let words = ["--volume", &volume, "--env", &image, "--env", "DIND_DATA_ROOT=/srv/docker"];
        words.into_iter().chain(["--env", "VAR_LIB_DOCKER_SIZE=512MiB"]).map(str::to_owned).collect()
    }

    /// Whether a loop device of the machine is backed by it; the file's name is as seen by the one who attached it.
    pub(crate) fn is_attached(&self) -> bool {
        let devices = fs::read_dir("/sys/block").unwrap().flatten();
        let mut files =
            devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
        files.any(|backing| backing.trim().ends_with(&self.name))
    }

    /// Checks that the device is gone and that nothing is to be mended on the image. One that was never made is as good.
    pub(crate) fn assert_clean(&self) {
        assert!(!self.is_attached(), "{} still backs a loop device", self.name);
        let path = self.folder.path().join(&self.name);
        if !path.exists() {
            return;
        }
        // The mounts of a PID 1 that was killed end a moment after it, and a loop device writes past the page cache.
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let image = fs::File::open(&path).unwrap();
            posix_fadvise(&image, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
            let check = Command::new("e2fsck").args(["-f", "-n"]).arg(&path).output().unwrap();
            let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
            // It reads past a journal that has to be replayed: that image was not unmounted, but torn off.
            if check.status.success() && !said.contains("journal recovery") {
                return;
            }
            assert!(Instant::now() < end, "{said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Checks that it was made whole or not at all.
    pub(crate) fn assert_no_remains(&self) {
        let names = fs::read_dir(self.folder.path()).unwrap().flatten();
        let names: Vec<_> = names.map(|file| file.file_name().into_string().unwrap()).collect();
        // A lock file lies beside the image, and stays.
        assert!(names.iter().all(|name| !name.contains("tmp")), "{names:?}");
    }
}

/// A folder that the test, the node and its inner containers see as /share.
pub(crate) struct Share(tempfile::TempDir);

impl Share {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn volume(&self) -> String {
        format!("{}:/share", self.0.path().display())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn until(&self, name: &str) {
        eventually(name, LIMIT, || self.path(name).exists().then_some(()));
    }

    /// When a file was written.
    pub(crate) fn time(&self, name: &str) -> SystemTime {
        let file = fs::metadata(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        file.modified().unwrap()
    }
}

/// A node with options that are not literals.
pub(crate) fn node(options: &[String], more: &[&str], command: &[&str]) -> Node {
    let options: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Node::start(&options, command)
}

/// A shell script's output in the node.
pub(crate) fn sh(node: &Node, script: &str) -> String {
    node.exec(&["sh", "-c", script]).ok()
}

pub(crate) fn start_again(node: &Node) {
    docker(&["start", &node.name]).ok();
    node.until_running();
}

/// Waits until no process of the node is a zombie.
pub(crate) fn until_no_zombies(node: &Node) {
    eventually("all zombies are reaped", LIMIT, || {
        let zombies = sh(node, "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || true");
        zombies.is_empty().then_some(())
    });
}

/// The names of the inner containers that the engine calls running, sorted. Each has a process, and there are no
/// others: neither ghosts in the engine's list, nor strays that it does not know.
pub(crate) fn really_running(node: &Node) -> Vec<String> {
    let script = "pgrep -c -x containerd-shim
        docker ps --quiet --no-trunc | xargs -r docker inspect --format '{{.Name}} {{.State.Status}} {{.State.Pid}} {{.Id}}' |
        while read name state pid id; do echo $name $state $(grep -c $id /proc/$pid/cgroup); done";
    let told = sh(node, script);
    let (shims, containers) = told.split_once('\n').unwrap_or((&told, ""));
    let mut names = Vec::new();
    for line in containers.lines() {
        let [name, state, cgroups] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(state == "running" && !cgroups.starts_with('0'), "{line}: a ghost");
        names.push(name.trim_start_matches('/').to_owned());
    }
    assert_eq!(shims, names.len().to_string(), "one shim for each container that runs: {told}");
    names.sort();
    names
}

/// The record of a node that has ended.
pub(crate) fn last_record(node: &Node) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("record");
    outer::docker(&["cp", &format!("{}:/run/dind/launch.json", node.name), target.to_str().unwrap()]).ok();
    serde_json::from_str(&fs::read_to_string(target).unwrap()).unwrap()
}
