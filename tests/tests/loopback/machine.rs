//! The fixture: a machine made of a directory and a mount namespace.

use dind_system::proc::parse_mounts;
use dind_tests::{bin, eventually, scratch, within};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long the kernel may take to clear a loop device.
const LIMIT: Duration = Duration::from_secs(5);

/// A directory with a data root and an image, in a mount namespace of the test's thread.
pub(crate) struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    /// unshare(2) acts on the calling thread, and children of the thread inherit from it.
    pub(crate) fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests need root: run `cargo xtask test`");
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        Self { directory: scratch() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("root")
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.path("images/docker")
    }

    /// A file system of 1 GiB in a file, mounted where the image goes, for as long as the test runs.
    pub(crate) fn volume(&self, mkfs: &str) -> PathBuf {
        let (file, point) = (self.path("volume"), self.path("images"));
        File::create(&file).unwrap().set_len(1 << 30).unwrap();
        run(mkfs, &["-q", file.to_str().unwrap()]);
        fs::create_dir(&point).unwrap();
        run("mount", &["-o", "loop", file.to_str().unwrap(), point.to_str().unwrap()]);
        point
    }

    /// `dind-storage VERB` with a loop image of 64 MiB on request, and nothing else of our environment.
    pub(crate) fn storage(&self, verb: &str) -> Command {
        let mut command = Command::new(bin("dind-storage"));
        command.arg(verb);
        self.environment(&mut command);
        command
    }

    pub(crate) fn environment(&self, command: &mut Command) {
        command.env_clear().env("DIND_DATA_ROOT", self.root()).env("DIND_STORAGE_IMAGE", self.image());
        command.env("DIND_STORAGE_BACKING", "loop").env("VAR_LIB_DOCKER_SIZE", "64MiB");
    }

    pub(crate) fn apply(&self) -> Value {
        succeeds(&mut self.storage("apply"))
    }

    pub(crate) fn release(&self) -> Value {
        succeeds(&mut self.storage("release"))
    }

    /// Mount points below the directory, in this thread's namespace.
    pub(crate) fn mounts(&self) -> Vec<PathBuf> {
        let text = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let points = parse_mounts(&text).into_iter().map(|mount| mount.point);
        points.filter(|point| point.starts_with(self.directory.path())).collect()
    }

    /// Loop devices whose files lie below the directory, in whatever namespace they are mounted.
    pub(crate) fn loops(&self) -> Vec<String> {
        let inside = |name: &String| {
            let file = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap_or_default();
            Path::new(file.trim()).starts_with(self.directory.path())
        };
        let names = fs::read_dir("/sys/block").unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(inside).collect()
    }

    /// Files beside the image and beside the data root that only a run in progress has.
    pub(crate) fn temporaries(&self) -> Vec<String> {
        let directories = [self.directory.path().to_owned(), self.image().parent().unwrap().to_owned()];
        let names = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }

    /// Checks that nothing is left but, perhaps, the image.
    pub(crate) fn assert_clean(&self) {
        self.assert_clean_below(&[]);
    }

    /// The same, apart from mounts that the test has made.
    pub(crate) fn assert_clean_below(&self, own: &[&str]) {
        let mut mounts = self.mounts();
        mounts.retain(|point| !own.iter().any(|own| *point == self.path(own)));
        assert!(mounts.is_empty(), "{mounts:?} are left");
        eventually("no loop device is left", LIMIT, || self.loops().is_empty().then_some(()));
        assert_eq!(self.temporaries(), [""; 0]);
    }

    /// As before a first apply: no image, no directory, no data root.
    pub(crate) fn assert_untouched(&self) {
        self.assert_clean();
        assert!(!self.image().parent().unwrap().exists(), "the image's directory was left");
        assert!(!self.root().exists(), "the data root was left");
    }
}

impl Drop for Machine {
    /// What a failed test has left must not stay in the kernel. The thread's namespace ends with the thread.
    fn drop(&mut self) {
        for point in self.mounts().iter().rev() {
            let _ = umount2(point, MntFlags::MNT_DETACH);
        }
    }
}

/// The one JSON line on stdout.
pub(crate) fn document(output: &Output) -> Value {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(stdout.lines().count(), 1, "{output:?}");
    serde_json::from_str(&stdout).unwrap()
}

pub(crate) fn succeeds(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let document = document(&output);
    assert_eq!(document["ok"], true);
    document
}

/// Runs what must fail with this code and status, within a second, and with a hint.
pub(crate) fn fails(command: &mut Command, code: &str, status: i32) -> Value {
    let started = Instant::now();
    let output = command.output().unwrap();
    let took = started.elapsed();
    let document = document(&output);
    assert_eq!(
        (document["error"]["code"].as_str(), output.status.code()),
        (Some(code), Some(status)),
        "{output:?}"
    );
    assert_ne!(document["error"]["hint"], "", "{document}");
    within(&document, took, Duration::from_secs(1));
    document
}

/// `op:state` of every step.
pub(crate) fn steps(document: &Value) -> Vec<String> {
    let steps = document["steps"].as_array().unwrap().iter();
    steps
        .map(|step| format!("{}:{}", step["op"].as_str().unwrap(), step["state"].as_str().unwrap()))
        .collect()
}

/// Runs a program that the tests need; it has to succeed.
pub(crate) fn run(program: &str, args: &[&str]) {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}
