//! What the cases share: a loop image to look after, a directory that the test and the containers see, and a node's state
//! as its own /proc shows it.

use dind_tests::outer::{LIMIT, Node, Share, is_attached};
use dind_tests::{eventually, scratch_on_disk, stretched, unique};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// An inner container that ends on TERM and whose shell does nothing meanwhile.
pub(crate) const SLEEPS: &str = "trap 'exit 0' TERM; sleep infinity & wait";

/// Ends with 42 on TERM, and leaves word of it.
pub(crate) const MAIN: &[&str] =
    &["sh", "-c", "trap 'touch /share/main; exit 42' TERM; touch /share/up; sleep infinity & wait"];

/// One that does not end on TERM.
pub(crate) const IGNORES: &str = "trap '' TERM; sleep infinity & while :; do wait; done";

/// A loop image in a directory of the test. The data root lies on the container's own overlay.
pub(crate) struct Image {
    directory: tempfile::TempDir,
    name: String,
}

impl Image {
    pub(crate) fn new() -> Self {
        Self { directory: scratch_on_disk(), name: unique("image") }
    }

    /// What `docker run` needs for it.
    pub(crate) fn options(&self) -> Vec<String> {
        let volume = format!("{}:/data", self.directory.path().display());
        let image = format!("DIND_STORAGE_IMAGE=/data/{}", self.name);
        let words = ["--volume", &volume, "--env", &image, "--env", "DIND_DATA_ROOT=/srv/docker"];
        words.into_iter().chain(["--env", "VAR_LIB_DOCKER_SIZE=512MiB"]).map(str::to_owned).collect()
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// Checks that the device is gone and that nothing is to be repaired in the image.
    pub(crate) fn assert_clean(&self) {
        assert!(!is_attached(&self.name), "{} still backs a loop device", self.name);
        let path = self.path();
        // The mounts of a PID 1 that was killed end a moment after it, and a loop device writes past the page cache.
        let end = Instant::now() + stretched(Duration::from_secs(10));
        loop {
            let image = fs::File::open(&path).unwrap();
            posix_fadvise(&image, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
            let check = Command::new("e2fsck").args(["-f", "-n"]).arg(&path).output().unwrap();
            let found = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
            // It ignores a journal that has to be replayed, which is left where the image was not unmounted.
            if check.status.success() && !found.contains("journal recovery") {
                return;
            }
            assert!(Instant::now() < end, "{found}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The same for an image that a stop may have come before.
    pub(crate) fn assert_clean_or_missing(&self) {
        assert!(!is_attached(&self.name), "{} still backs a loop device", self.name);
        if self.path().exists() {
            self.assert_clean();
        }
    }

    /// Checks that it was made whole or not at all.
    pub(crate) fn assert_no_remains(&self) {
        let names = fs::read_dir(self.directory.path()).unwrap().flatten();
        let names: Vec<_> = names.map(|file| file.file_name().into_string().unwrap()).collect();
        // A lock file lies beside the image, and stays.
        assert!(names.iter().all(|name| !name.contains("tmp")), "{names:?}");
    }
}

/// When a file was written.
pub(crate) fn written(share: &Share, name: &str) -> SystemTime {
    let file = fs::metadata(share.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    file.modified().unwrap()
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

/// Waits until no process of the node is a zombie.
pub(crate) fn until_no_zombies(node: &Node) {
    eventually("all zombies are reaped", LIMIT, || {
        let zombies = sh(node, "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || true");
        zombies.is_empty().then_some(())
    });
}

/// The names of the inner containers that the engine calls running, sorted. Checks that each has a process, and that there
/// are no others: neither containers that have ended, nor processes that the engine does not know.
pub(crate) fn really_running(node: &Node) -> Vec<String> {
    let script = "pgrep -c -x containerd-shim
        docker ps --quiet --no-trunc | xargs -r docker inspect --format '{{.Name}} {{.State.Status}} {{.State.Pid}} {{.Id}}' |
        while read name state pid id; do echo $name $state $(grep -c $id /proc/$pid/cgroup); done";
    // One that starts between the two has its shim the next time.
    let mut names = eventually("there is one shim for each container that runs", LIMIT, || {
        let shown = sh(node, script);
        let (shims, containers) = shown.split_once('\n').unwrap_or((&shown, ""));
        let mut names = Vec::new();
        for line in containers.lines() {
            let [name, state, cgroups] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert!(state == "running" && !cgroups.starts_with('0'), "{line}: it does not run");
            names.push(name.trim_start_matches('/').to_owned());
        }
        (shims == names.len().to_string()).then_some(names)
    });
    names.sort();
    names
}
