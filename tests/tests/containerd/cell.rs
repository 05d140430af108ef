//! A cell of the support table, on containerd: as [`dind_tests::cell`] has it for engines with a client like Docker's.

use crate::daemon::{Containerd, PODS};
use dind_tests::cell::{self, LIMITED, LIMITS, SLOW, Storage};
use dind_tests::outer::{Ended, LIMIT, Share, inner_image, run};
use dind_tests::{eventually, promise, seconds, unique};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The node's own limit of memory, in bytes.
pub(crate) const MEMORY: u64 = 500 << 20;

/// How long it may take to stop: [`SLOW`] and some more.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

/// A running node, whoever runs it.
pub(crate) trait Node {
    /// Where it runs.
    fn containerd(&self) -> &Containerd;

    /// The directory in /proc of its PID 1.
    fn process(&self) -> PathBuf;

    /// Runs a command in it.
    fn exec(&self, command: &[&str]) -> Ended;

    /// A stop signal, and KILL after [`GRACE`]. Returns the exit status and the time it took.
    fn stop(&self) -> (i32, Duration);

    /// What it has printed.
    fn log(&self) -> String;

    /// Waits until it runs.
    fn until_running(&self) {
        let limit = format!("{}s", seconds(LIMIT.as_secs()));
        let waited = self.exec(&["dind-launch", "wait", "--timeout", &limit]);
        assert_eq!(waited.status, 0, "{waited:?}: {}", self.log());
    }

    /// Its record.
    fn record(&self) -> Value {
        let text = self.exec(&["dind-launch", "status"]).ok();
        serde_json::from_str::<Value>(&text).expect("status prints JSON")["result"].take()
    }

    /// This machine's client on its engine.
    fn inner_docker(&self, args: &[&str]) -> Ended {
        let host = format!("unix://{}/root/run/docker.sock", self.process().display());
        run("docker", &[&["--host", &host], args].concat())
    }

    /// The same for a command that succeeds.
    fn inner(&self, args: &[&str]) -> String {
        self.inner_docker(args).ok()
    }
}

/// The directory that the test and the node's inner containers see.
pub(crate) fn share() -> Share {
    let share = Share::new();
    fs::set_permissions(share.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    share
}

/// The node's variables. A bridged one has its inner range as many times 256 addresses behind its own address.
pub(crate) fn variables(storage: Storage, range: Option<u8>) -> Vec<(String, String)> {
    let mut words: Vec<_> =
        SLOW.iter().filter(|word| word.contains('=')).map(|word| (*word).to_owned()).collect();
    if storage == Storage::Loop {
        words.extend(["DIND_DATA_ROOT=/srv/docker", "VAR_LIB_DOCKER_SIZE=512MiB"].map(str::to_owned));
        words.push(format!("DIND_STORAGE_IMAGE=/data/{}", unique("image")));
    }
    words.extend(range.map(|range| format!("DOCKER_NETWORK_OFFSET=0.0.{range}.0")));
    let pair = |word: &String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    words.iter().filter_map(pair).collect()
}

/// A node from its start to its ordered stop. Returns the directory of its control group.
pub(crate) fn cell(node: &impl Node, share: &Share, storage: Storage, range: Option<u8>) -> PathBuf {
    node.until_running();
    node.inner(&["network", "create", "own"]);
    let run = |options: &[&str], script: &str| {
        let words =
            [&["run", "--detach"], &Share::WITHIN[..], options, &[&inner_image(), "sh", "-c", script]];
        node.inner(&words.concat())
    };
    let limited = run(&[&LIMITS[..], &["--network", "own"]].concat(), LIMITED);
    let greedy = run(&[], &cell::greedy(&format!("{PODS}.0.1")));
    match range {
        Some(range) => cell::connected_bridged(share, &format!("{PODS}.{range}."), |address| {
            node.containerd().enter(&["busybox", "ping", "-c", "1", "-W", &seconds(10), address])
        }),
        None => cell::connected(share, PODS),
    }
    let own = cell::in_the_group_of(&node.process(), &limited);
    fs::write(share.path("go"), "").unwrap();
    assert_eq!(node.inner(&["wait", &greedy]), "137", "the node's limit of memory holds");
    // The node survives what its limits cost an inner container.
    let shown = node.inner(&["inspect", "--format", "{{.Driver}} {{.State.Running}}", &limited]);
    assert_eq!(shown, "overlay2 true");
    let record = node.record();
    let backing = if storage == Storage::Loop { "loop" } else { "native" };
    assert_eq!(record["documents"]["storage"]["result"]["backing"], backing);
    cell::limits_arrive(share, record["engine_version"].as_str().unwrap());

    let (status, took) = node.stop();
    assert_eq!(status, 42, "{}", node.log());
    assert!(share.path("stopped").exists(), "the inner container got no TERM: {}", node.log());
    promise("the ordered stop", took, GRACE);
    own
}

/// Waits until the control group of a node that was removed is gone.
pub(crate) fn is_gone(group: &Path) {
    eventually("the node's group is gone", LIMIT, || (!group.exists()).then_some(()));
}
