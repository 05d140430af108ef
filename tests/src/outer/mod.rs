//! The outer engine and the nodes that a test starts on it. A node is gone, with its volumes, when its handle is.

use crate::eventually;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a node may take to start or to end before a test gives up on it. On an emulated machine that has other work
/// to do as well, a node takes more than a minute.
pub const LIMIT: Duration = Duration::from_secs(150);

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is unset: run `cargo xtask test image`"))
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

/// A name that nobody else has.
#[must_use]
pub fn unique(what: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("dind-test-{}-{what}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What a command ended with, as text.
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
    /// It did not.
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }
}

/// The outer engine's client.
#[must_use]
pub fn docker(args: &[&str]) -> Ended {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", setting("DIND_TEST_DOCKER_HOST")).args(args);
    command.output().expect("docker is installed").into()
}

/// Runs a command where the outer engine's bridges are: what its users call "the host".
#[must_use]
pub fn on_host(args: &[&str]) -> Ended {
    run("nsenter", &[&["--target", &engine_pid(), "--net"], args].concat())
}

/// Our number of the outer engine, which may have namespaces of its own.
fn engine_pid() -> String {
    setting("DIND_TEST_ENGINE_PID")
}

/// The folder in /proc of a process that the outer engine tells of, by the engine's number of it.
#[must_use]
pub fn process(pid: &str) -> PathBuf {
    format!("/proc/{}/root/proc/{pid}", engine_pid()).into()
}

fn run(program: &str, args: &[&str]) -> Ended {
    let output = Command::new(program).args(args).output();
    output.unwrap_or_else(|error| panic!("cannot run {program}: {error}")).into()
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// The container's name.
    pub name: String,
    /// The outer engine's number of its PID 1, as last seen; 0 at first.
    pid: AtomicU32,
}

impl Node {
    /// A container that was started otherwise, or will be.
    #[must_use]
    pub fn named(name: String) -> Self {
        Self { name, pid: AtomicU32::new(0) }
    }

    /// `docker run -d --privileged` with these options, and this command in the image under test.
    ///
    /// # Panics
    /// The outer engine refuses.
    #[must_use]
    pub fn start(options: &[&str], command: &[&str]) -> Self {
        Self::of_image(&image(), &[&["--privileged"], options].concat(), command)
    }

    /// The same with an image and privileges of the caller's choice.
    ///
    /// # Panics
    /// The outer engine refuses.
    #[must_use]
    pub fn of_image(image: &str, options: &[&str], command: &[&str]) -> Self {
        let node = Self::named(unique("node"));
        let preload = format!("{}:/preload:ro", setting("DIND_TEST_PRELOAD"));
        let mut own = vec!["run", "--detach", "--name", &node.name];
        own.extend(["--volume", &preload, "--env", "DIND_PRELOAD=/preload"]);
        // Where processors are emulated, a check every ten seconds takes a tenth of one, for each node.
        own.extend(["--health-interval", "60s"]);
        // Passed on where it is set. There, an engine does better without collecting its garbage.
        own.extend(["--env", "GOGC"]);
        docker(&[&own[..], options, &[image], command].concat()).ok();
        node
    }

    /// The outer engine's number of the node's PID 1. None: there is none.
    fn pid(&self) -> Option<String> {
        let known = self.pid.load(Ordering::Relaxed).to_string();
        if known != "0" && process(&known).join("root/run").exists() {
            return Some(known);
        }
        let told = docker(&["inspect", "--format", "{{.State.Pid}}", &self.name]).ok();
        let pid = told.parse().ok().filter(|pid| *pid != 0)?;
        self.pid.store(pid, Ordering::Relaxed);
        Some(told)
    }

    /// Runs a program of the image in the node's namespaces: `docker exec` without its cost.
    fn enter(&self, args: &[&str]) -> Option<Ended> {
        let (engine, pid) = (engine_pid(), self.pid()?);
        let engine = ["--target", &engine, "--mount", "--pid", "--", "nsenter"];
        let node = ["--target", &pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--"];
        Some(run("nsenter", &[&engine[..], &node, args].concat()))
    }

    /// The folder in /proc of the node's PID 1. None: there is none.
    #[must_use]
    pub fn process(&self) -> Option<PathBuf> {
        Some(process(&self.pid()?))
    }

    /// Whether the launcher says so. Its record, which may be left from an earlier life, is looked at first: where
    /// processors are emulated, starting programs to look takes the node's own time away.
    fn runs(&self) -> bool {
        let running = |document: &Value| document["state"] == "running";
        let read = || {
            let text = fs::read(self.process()?.join("root/run/dind/launch.json")).ok()?;
            serde_json::from_slice::<Value>(&text).ok()
        };
        let ask = || serde_json::from_str::<Value>(&self.enter(&["dind-launch", "status"])?.stdout).ok();
        read().is_some_and(|record| running(&record)) && ask().is_some_and(|said| running(&said["result"]))
    }

    /// Waits until the node runs.
    ///
    /// # Panics
    /// It has ended, or takes too long; its log is in the message.
    pub fn until_running(&self) -> &Self {
        let started = Instant::now();
        while !self.runs() {
            let lives = self.pid().is_some();
            assert!(
                lives && started.elapsed() < LIMIT,
                "the node does not run (alive: {lives}): {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        self
    }

    /// The launcher's record.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    pub fn record(&self) -> Value {
        let text = self.exec(&["dind-launch", "status"]).ok();
        serde_json::from_str::<Value>(&text).expect("status prints JSON")["result"].take()
    }

    /// Runs a command in the node.
    #[must_use]
    pub fn exec(&self, args: &[&str]) -> Ended {
        docker(&[&["exec", &self.name], args].concat())
    }

    /// Asks the inner engine, by this machine's client on the node's own socket.
    ///
    /// # Panics
    /// The command fails.
    pub fn inner(&self, args: &[&str]) -> String {
        self.inner_docker(args).ok()
    }

    /// The same, whatever the client ends with.
    ///
    /// # Panics
    /// The node has ended.
    pub fn inner_docker(&self, args: &[&str]) -> Ended {
        let process = self.process().unwrap_or_else(|| panic!("the node has ended: {}", self.log()));
        // Not /var/run: its absolute link leads out of the node.
        let host = format!("unix://{}/root/run/docker.sock", process.display());
        run("docker", &[&["--host", &host], args].concat())
    }

    /// Starts an inner container in the background and gives its id.
    ///
    /// # Panics
    /// The inner engine refuses.
    pub fn inner_run(&self, options: &[&str], script: &str) -> String {
        self.inner(&[&["run", "--detach"], options, &[&inner_image(), "sh", "-c", script]].concat())
    }

    /// `docker stop`, with the outer engine's usual ten seconds. Gives the exit status and the time it took.
    ///
    /// # Panics
    /// The outer engine refuses.
    #[must_use]
    pub fn stop(&self) -> (i32, Duration) {
        let asked = Instant::now();
        docker(&["stop", "--time", "10", &self.name]).ok();
        (self.exit_status(), asked.elapsed())
    }

    /// Waits for the node's end and gives its exit status.
    ///
    /// # Panics
    /// It does not end in time.
    #[must_use]
    pub fn exit_status(&self) -> i32 {
        eventually("the node has ended", LIMIT, || {
            let state =
                docker(&["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", &self.name]).ok();
            state.strip_prefix("exited ").map(|status| status.parse().expect("a number"))
        })
    }

    /// All that the node has printed.
    #[must_use]
    pub fn log(&self) -> String {
        let log = docker(&["logs", &self.name]);
        format!("{}\n{}", log.stdout, log.stderr)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.name, self.log());
        }
        let _ = docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// A network of the outer engine.
#[derive(Debug)]
pub struct Network {
    /// Its name.
    pub name: String,
}

impl Network {
    /// A bridge network that hands out addresses of `range`, and leaves the rest of `subnet` to the nodes.
    ///
    /// # Panics
    /// The outer engine refuses.
    #[must_use]
    pub fn new(subnet: &str, range: &str, options: &[&str]) -> Self {
        let network = Self { name: unique("net") };
        let own = ["network", "create", "--subnet", subnet, "--ip-range", range];
        docker(&[&own[..], options, &[&network.name]].concat()).ok();
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = docker(&["network", "rm", &self.name]);
    }
}
