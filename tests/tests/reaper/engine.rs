//! An engine of its own for each test: that of a node, which runs nothing but what the test starts. And `dind-reaper` on it.

use assert_cmd::Command;
use dind_tests::outer::{Ended, Node, SLEEP, inner_image};
use dind_tests::{bin, eventually, stretched};
use serde_json::Value;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A bound for what takes seconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A container's script that ends with 3 on TERM.
pub(crate) const TRAPS: &str = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done";

/// One that never ends on TERM.
pub(crate) const IGNORES: &str = "trap '' TERM; echo ready; while :; do sleep 1; done";

/// A node's engine. Its containers are removed with it. One at a time: how long a stop takes is looked at.
pub(crate) struct Engine {
    node: Node,
    _turn: MutexGuard<'static, ()>,
}

impl Engine {
    pub(crate) fn start() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let node = Node::start(&[], SLEEP);
        node.until_running();
        Self { node, _turn: turn }
    }

    /// Its socket, as `DOCKER_HOST` has it.
    pub(crate) fn host(&self) -> String {
        self.node.inner_host()
    }

    /// Runs its client.
    pub(crate) fn docker(&self, args: &[&str]) -> Ended {
        self.node.inner_docker(args)
    }

    /// Starts a container and waits until it has set its traps.
    pub(crate) fn run(&self, name: &str, options: &[&str], script: &str) {
        let image = inner_image();
        let run = ["run", "--detach", "--network", "none", "--name", name];
        self.docker(&[&run[..], options, &[&image, "sh", "-c", script]].concat()).ok();
        if script.contains("echo ready") {
            eventually("the container is ready", LIMIT, || {
                (self.docker(&["logs", name]).ok() == "ready").then_some(())
            });
        }
    }

    pub(crate) fn runs_nothing(&self) -> bool {
        self.docker(&["ps", "--quiet"]).ok().is_empty()
    }

    /// `dind-reaper` with this engine.
    pub(crate) fn reaper(&self, args: &[&str]) -> std::process::Command {
        let mut reaper = std::process::Command::new(bin("dind-reaper"));
        reaper.env("DOCKER_HOST", self.host()).env_remove("DIND_STOP_BUDGET").args(args);
        reaper
    }

    /// Runs it to its end; returns the document, the exit status and the time.
    pub(crate) fn reap(&self, args: &[&str]) -> (Value, i32, Duration) {
        let reaper = self.reaper(args);
        let begun = Instant::now();
        let output = Command::from_std(reaper).timeout(stretched(LIMIT)).output().unwrap();
        let took = begun.elapsed();
        let document = serde_json::from_slice(&output.stdout).expect("one JSON document");
        (document, output.status.code().unwrap(), took)
    }
}

/// `name outcome exit-code` of each container that was stopped, sorted.
pub(crate) fn endings(document: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let stopped = document["result"]["stopped"].as_array().unwrap_or_else(|| panic!("{document}"));
    let mut endings: Vec<String> = stopped
        .iter()
        .map(|one| format!("{} {} {}", text(&one["name"]), text(&one["outcome"]), text(&one["exit_code"])))
        .collect();
    endings.sort();
    endings
}

/// Sends a signal to a child.
pub(crate) fn signal(child: &Child, name: &str) {
    let kill =
        std::process::Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}
