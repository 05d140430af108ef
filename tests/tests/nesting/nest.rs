//! A node in a node in a node. All have their images from one seed, which each hands on to the next.

use dind_tests::outer::{Ended, LIMIT, Node, SLEEP, Share, host, image, inner_image};
use dind_tests::{bare_environment, bin, eventually, scratch_on_disk};
use serde_json::Value;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tempfile::TempDir;

/// How many nodes there are, one in the other.
pub(crate) const DEPTH: usize = 3;

/// The names of those within the first.
const NAMES: [&str; DEPTH] = ["", "second", "third"];

/// What inner nodes get. `--privileged` needs every capability the kernel has, which a node has on some machines only; this set
/// works everywhere, and there is nothing in it that the node outside does not have itself.
const FLAGS: &[&str] = &[
    "--cap-add",
    "SYS_ADMIN",
    "--cap-add",
    "NET_ADMIN",
    "--cap-add",
    "SYS_PTRACE",
    "--security-opt",
    "seccomp=/usr/share/dind/seccomp.json",
    "--security-opt",
    "apparmor=unconfined",
];

/// The seed with the image under test and the inner image.
struct Seed(TempDir);

impl Seed {
    /// One for all tests that run at the same time.
    fn get() -> Arc<Self> {
        static SHARED: Mutex<Weak<Seed>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Self::make());
            *shared = Arc::downgrade(&made);
            made
        })
    }

    fn make() -> Self {
        let (root, seed) = (scratch_on_disk(), Self(scratch_on_disk()));
        let volume = format!("{}:/var/lib/docker", root.path().display());
        let node = Node::start(&["--volume", &volume, "--env", "DIND_STORAGE_STORE=graph"], SLEEP);
        node.until_running();
        let load = format!("docker save {} | docker --host {} load", image(), node.inner_host());
        let loaded =
            Command::new("bash").args(["-o", "pipefail", "-c", &load]).env("DOCKER_HOST", host()).output();
        Ended::from(loaded.unwrap()).ok();
        assert_eq!(node.stop().0, 143, "{}", node.log());
        drop(node);
        let mut seal = Command::new(bin("dind-storage"));
        bare_environment(&mut seal).arg("seal").arg("--data-root").arg(root.path());
        Ended::from(seal.arg("--to").arg(seed.0.path().join("seed")).output().unwrap()).ok();
        seed
    }
}

/// Three nodes. Each sees `/share` of the machine.
pub(crate) struct Nest {
    pub(crate) outer: Node,
    pub(crate) share: Share,
    _seed: Arc<Seed>,
}

impl Nest {
    /// Starts them, with options for each; each inner node is in the network `own` of the one outside, which is made with
    /// `of_networks`.
    pub(crate) fn start(options: [&[&str]; DEPTH], of_networks: &[&str]) -> Self {
        let (seed, share) = (Seed::get(), Share::new());
        let volume = format!("{}:/seed:ro", seed.0.path().join("seed").display());
        let seeded = ["--env", "DIND_STORAGE_SEED=/seed", "--env", "DIND_PRELOAD="];
        let own = ["--volume", &volume, "--volume", &share.volume()];
        let outer = Node::start(&[&own[..], &seeded, options[0]].concat(), SLEEP);
        outer.until_running();
        let nest = Self { outer, share, _seed: seed };
        for depth in 1..DEPTH {
            let network = [&["network", "create"], of_networks, &["own"]].concat();
            nest.docker(depth, &network).ok();
            let run = ["run", "--detach", "--name", NAMES[depth], "--restart", "always", "--network", "own"];
            let volumes = ["--volume", "/seed:/seed:ro", "--volume", "/share:/share"];
            let image = image();
            nest.docker(depth, &[&run[..], FLAGS, &volumes, &seeded, options[depth], &[&image]].concat())
                .ok();
            nest.until_ready(depth + 1);
        }
        nest.docker(DEPTH, &[&["network", "create"], of_networks, &["own"]].concat()).ok();
        nest
    }

    /// Runs a command in the node that is so many deep; the first is 1.
    pub(crate) fn exec(&self, depth: usize, command: &[&str]) -> Ended {
        let within = NAMES[1..depth].iter().flat_map(|name| ["docker", "exec", name]);
        self.outer.exec(&within.chain(command.iter().copied()).collect::<Vec<_>>())
    }

    /// The same with the client of its engine.
    pub(crate) fn docker(&self, depth: usize, args: &[&str]) -> Ended {
        self.exec(depth, &[&["docker"], args].concat())
    }

    /// Starts a container of the inner image in the innermost node, or another; returns its id.
    pub(crate) fn run(&self, depth: usize, options: &[&str], script: &str) -> String {
        let image = inner_image();
        self.docker(depth, &[&["run", "--detach"], options, &[&image, "sh", "-c", script]].concat()).ok()
    }

    pub(crate) fn until_ready(&self, depth: usize) {
        eventually(&format!("the node {depth} deep is ready"), LIMIT, || {
            (self.exec(depth, &["dind-launch", "wait", "--timeout", "5s"]).status == 0).then_some(())
        });
    }

    pub(crate) fn record(&self, depth: usize) -> Value {
        let text = self.exec(depth, &["dind-launch", "status"]).ok();
        serde_json::from_str::<Value>(&text).unwrap()["result"].take()
    }
}
