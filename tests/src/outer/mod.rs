//! The outer engine: its client, and the machine's network and devices as it sees them. `node`: the nodes that a test starts
//! on it, and `run_flags`: with which privileges. `make`: engines of other makes in its place, such as `podman`. `shell`: images with a shell entrypoint. `network`: its networks and volumes. `share`:
//! a directory that a test and its containers see. `registry`: what images are pushed to. Whatever a handle stands for is removed when
//! the handle is dropped.

mod make;
mod network;
mod node;
mod podman;
mod registry;
mod run_flags;
mod share;
mod shell;

pub use make::{Docker, Outer};
pub use network::{Network, Volume};
pub use node::Node;
pub use podman::{Podman, version_of};
pub use registry::Registry;
pub use run_flags::{RUNC, RunFlags};
pub use share::Share;
pub use shell::{ShellImage, readme_entrypoint};

use crate::seconds;
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// How long a node may take to start or to end before a test gives up on it. On an emulated machine that has other work
/// to do as well, a node takes more than a minute.
pub const LIMIT: Duration = Duration::from_secs(150);

/// A main process that does nothing, and ends by TERM.
pub const SLEEP: &[&str] = &["sleep", "infinity"];

/// A data root on the container's own overlay, where overlay2 needs a loop image.
pub const LOOP: [&str; 4] = ["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=1"];

/// A variable that xtask sets for the suites that need an engine.
///
/// # Panics
/// It is unset.
#[must_use]
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is unset: run `cargo xtask test`"))
}

/// The outer engine's socket, as `DOCKER_HOST` has it.
#[must_use]
pub fn host() -> String {
    setting("DIND_TEST_DOCKER_HOST")
}

/// The image under test.
#[must_use]
pub fn image() -> String {
    setting("DIND_TEST_IMAGE")
}

/// The small image that inner containers are made of; every node has it preloaded.
#[must_use]
pub fn inner_image() -> String {
    setting("DIND_TEST_INNER_IMAGE")
}

/// The result of a command, as text.
#[derive(Debug)]
pub struct Ended {
    /// Exit status; 255 for a signal.
    pub status: i32,
    /// Its stdout, without the last newline.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(255),
            stdout: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// stdout of a command that must succeed.
    ///
    /// # Panics
    /// It failed.
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }
}

/// The outer engine's client. `DIND_TEST_RUN_FLAGS` exchanges the `--privileged` of a new container for the flags of another set.
#[must_use]
pub fn docker(args: &[&str]) -> Ended {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", host()).args(run_flags::exchanged(args));
    command.output().expect("docker is installed").into()
}

/// The first two numbers of the version of the engine in the image under test.
///
/// # Panics
/// It prints none.
#[must_use]
pub fn engine_version() -> (u64, u64) {
    let text = docker(&["run", "--rm", "--entrypoint", "dockerd", &image(), "--version"]).ok();
    let mut numbers = text.split(['.', ' ']).filter_map(|word| word.parse().ok());
    let mut number = || numbers.next().expect("a version has two numbers");
    (number(), number())
}

/// The address that the outer engine gave a container.
#[must_use]
pub fn address_of(container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    docker(&["inspect", "--format", format, container]).ok()
}

/// Runs a command where the outer engine's bridges are: what its users call "the host".
#[must_use]
pub fn on_host(args: &[&str]) -> Ended {
    run("nsenter", &[&["--target", &engine_pid(), "--net"], args].concat())
}

/// One ping from there.
#[must_use]
pub fn ping_from_host(address: &str) -> Ended {
    on_host(&["busybox", "ping", "-c", "1", "-W", &seconds(5), address])
}

/// Moves the calling thread there. What it binds or starts stays there.
///
/// # Panics
/// The kernel refuses.
pub fn enter_host_network() {
    let network = File::open(format!("/proc/{}/ns/net", engine_pid())).unwrap();
    setns(network, CloneFlags::CLONE_NEWNET).unwrap();
}

/// Our number of the outer engine, which may have namespaces of its own.
#[must_use]
pub fn engine_pid() -> String {
    setting("DIND_TEST_ENGINE_PID")
}

/// The directory in /proc of a process, by the outer engine's number of it.
#[must_use]
pub fn process(pid: &str) -> PathBuf {
    format!("/proc/{}/root/proc/{pid}", engine_pid()).into()
}

/// Whether a loop device is backed by a file of this name, which has to be [`crate::unique`]: the kernel shows the path as
/// the one who attached the file saw it.
#[must_use]
pub fn is_attached(name: &str) -> bool {
    let devices = fs::read_dir("/sys/block").unwrap().flatten();
    let mut files =
        devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files.any(|backing| backing.trim().ends_with(name))
}

/// Runs a program of this machine.
///
/// # Panics
/// It cannot be run.
pub fn run(program: &str, args: &[&str]) -> Ended {
    let output = Command::new(program).args(args).output();
    output.unwrap_or_else(|error| panic!("cannot run {program}: {error}")).into()
}
