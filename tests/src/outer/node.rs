//! A node: a container of the image under test on the outer engine. `inner` has what is asked of the engine in it.

mod inner;

use super::{Docker, Ended, LIMIT, Outer, engine_pid, image, process, run, setting};
use crate::{eventually, scratch, stretched, unique};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What the nodes get as `DIND_NET_FIREWALL`, where it is set.
const FIREWALL: &str = "DIND_TEST_FIREWALL";

/// A node. It is removed, with its volumes, when its handle is dropped.
#[derive(Debug)]
pub struct Node {
    /// The container's name.
    pub name: String,
    /// The engine that it runs on.
    outer: Arc<dyn Outer>,
    /// The outer engine's number of its PID 1, as last seen; 0 at first.
    pid: AtomicU32,
}

impl Node {
    /// A container that was started otherwise, or will be.
    #[must_use]
    pub fn named(name: String) -> Self {
        Self::on(Docker::usual(), name)
    }

    /// The same on another engine.
    #[must_use]
    pub fn on(outer: Arc<dyn Outer>, name: String) -> Self {
        Self { name, outer, pid: AtomicU32::new(0) }
    }

    /// The engine's client.
    fn outer(&self, args: &[&str]) -> Ended {
        self.outer.client(args)
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
        Self::of_engine(Docker::usual(), image, options, command)
    }

    /// The same on an engine of another make, which has the image by its own name.
    ///
    /// # Panics
    /// The engine refuses.
    #[must_use]
    pub fn of_engine(outer: Arc<dyn Outer>, image: &str, options: &[&str], command: &[&str]) -> Self {
        let image = outer.image(image);
        let node = Self::on(outer, unique("node"));
        let preload = format!("{}:/preload:ro", setting("DIND_TEST_PRELOAD"));
        let mut own = vec!["run", "--detach", "--name", &node.name];
        own.extend(["--volume", &preload, "--env", "DIND_PRELOAD=/preload"]);
        // Where processors are emulated, a check every ten seconds takes a tenth of one, for each node.
        own.extend(["--health-interval", "60s"]);
        // Passed on where they are set. There, an engine does better without collecting its garbage, and takes longer to start.
        own.extend(["--env", "GOGC", "--env", "DIND_READY_TIMEOUT"]);
        let firewall = std::env::var(FIREWALL).map(|backend| format!("DIND_NET_FIREWALL={backend}"));
        own.extend(firewall.iter().flat_map(|variable| ["--env", variable]));
        node.outer(&[&own[..], options, &[&image], command].concat()).ok();
        node
    }

    /// The outer engine's number of the node's PID 1; none where the node has ended.
    fn pid(&self) -> Option<String> {
        let known = self.pid.load(Ordering::Relaxed).to_string();
        if known != "0" && process(&known).join("root/run").exists() {
            return Some(known);
        }
        let shown = self.outer(&["inspect", "--format", "{{.State.Pid}}", &self.name]).ok();
        let pid = shown.parse().ok().filter(|pid| *pid != 0)?;
        self.pid.store(pid, Ordering::Relaxed);
        Some(shown)
    }

    /// Runs a program of the image in the node's namespaces: `docker exec` without its cost.
    fn enter(&self, args: &[&str]) -> Option<Ended> {
        let entering = self.entering()?;
        let words: Vec<_> = entering[1..].iter().map(String::as_str).chain(args.iter().copied()).collect();
        Some(run(&entering[0], &words))
    }

    /// The words that run a program of the image in the node's namespaces, before the program's own; none where the node has ended.
    #[must_use]
    pub fn entering(&self) -> Option<Vec<String>> {
        let (engine, pid) = (engine_pid(), self.pid()?);
        let engine = ["nsenter", "--target", &engine, "--mount", "--pid", "--", "nsenter"];
        let node = ["--target", &pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--"];
        Some([&engine[..], &node].concat().into_iter().map(str::to_owned).collect())
    }

    /// The directory in /proc of the node's PID 1; none where the node has ended.
    #[must_use]
    pub fn process(&self) -> Option<PathBuf> {
        Some(process(&self.pid()?))
    }

    /// Whether the launcher says that the node runs. Its record, which may be left from an earlier run, is looked at first:
    /// where processors are emulated, starting programs to look takes the node's own time away.
    fn runs(&self) -> bool {
        let running = |document: &Value| document["state"] == "running";
        let read = || {
            let text = fs::read(self.process()?.join("root/run/dind/launch.json")).ok()?;
            serde_json::from_slice::<Value>(&text).ok()
        };
        let ask = || serde_json::from_str::<Value>(&self.enter(&["dind-launch", "status"])?.stdout).ok();
        read().is_some_and(|record| running(&record))
            && ask().is_some_and(|report| running(&report["result"]))
    }

    /// Waits until the node runs.
    ///
    /// # Panics
    /// It has ended, or takes too long; its log is in the message.
    pub fn until_running(&self) -> &Self {
        let started = Instant::now();
        while !self.runs() {
            let alive = self.pid().is_some();
            assert!(
                alive && started.elapsed() < stretched(LIMIT),
                "the node does not run (alive: {alive}): {}",
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

    /// What the engine writes its rules with, `iptables` or `nftables`; none for an engine without a choice.
    ///
    /// # Panics
    /// The record cannot be read.
    #[must_use]
    pub fn firewall(&self) -> Option<String> {
        let chosen = &self.record()["documents"]["net"]["result"]["firewall"]["backend"];
        chosen.as_str().map(str::to_owned)
    }

    /// What the engine calls the storage driver, overlay2: in containerd's store its name is that of a snapshotter.
    ///
    /// # Panics
    /// The record cannot be read, or the driver is another one.
    #[must_use]
    pub fn overlay(&self) -> String {
        let record = self.record();
        let storage = &record["documents"]["storage"]["result"];
        assert_eq!(storage["driver"], "overlay2");
        storage["store"]["snapshotter"].as_str().unwrap_or("overlay2").to_owned()
    }

    /// Runs a command in the node.
    #[must_use]
    pub fn exec(&self, args: &[&str]) -> Ended {
        self.outer(&[&["exec", &self.name], args].concat())
    }

    /// `docker stop`, with the outer engine's usual ten seconds. Returns the exit status and the time it took.
    ///
    /// # Panics
    /// The outer engine refuses.
    #[must_use]
    pub fn stop(&self) -> (i32, Duration) {
        let asked = Instant::now();
        self.outer(&["stop", "--time", "10", &self.name]).ok();
        (self.exit_status(), asked.elapsed())
    }

    /// Waits for the node's end and returns its exit status.
    ///
    /// # Panics
    /// It does not end in time.
    #[must_use]
    pub fn exit_status(&self) -> i32 {
        eventually("the node has ended", LIMIT, || {
            let state = self
                .outer(&["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", &self.name])
                .ok();
            state.strip_prefix("exited ").map(|status| status.parse().expect("a number"))
        })
    }

    /// `docker start`, and waits until the node runs.
    ///
    /// # Panics
    /// It has ended, or takes too long.
    pub fn start_again(&self) -> &Self {
        self.outer(&["start", &self.name]).ok();
        self.until_running()
    }

    /// The launcher's record of a node that has ended.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn last_record(&self) -> Value {
        let directory = scratch();
        let copy = directory.path().join("record");
        self.outer(&["cp", &format!("{}:/run/dind/launch.json", self.name), copy.to_str().unwrap()]).ok();
        serde_json::from_str(&fs::read_to_string(copy).unwrap()).unwrap()
    }

    /// All that the node has printed.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.outer(&["logs", &self.name]);
        format!("{}\n{}", log.stdout, log.stderr)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.name, self.log());
        }
        let _ = self.outer(&["rm", "--force", "--volumes", &self.name]);
    }
}
