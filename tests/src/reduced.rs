//! Nodes without `--privileged`: the flags that `doctor --run-flags` prints, and the node that the reduced set makes.

use crate::outer::{LIMIT, Node, SLEEP, address_of, host, image, inner_image, on_host};
use crate::{bin, eventually, scratch};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The engine's default runtime may be one that gives less than was asked for.
pub const RUNC: [&str; 2] = ["--runtime", "runc"];

/// What `doctor --run-flags` reports outside of any container, with the profile in the file that it names.
#[derive(Debug)]
pub struct RunFlags {
    /// The whole report.
    pub document: Value,
    directory: TempDir,
}

impl RunFlags {
    /// Runs `doctor --run-flags`.
    ///
    /// # Panics
    /// It fails.
    #[must_use]
    pub fn ask() -> Self {
        let mut flags = Self { document: Value::Null, directory: scratch() };
        let output = flags.doctor(&[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        flags.document = serde_json::from_slice(&output.stdout).unwrap();
        fs::write(flags.profile(), flags.document["result"]["seccomp_profile"].to_string()).unwrap();
        flags
    }

    fn profile(&self) -> PathBuf {
        self.directory.path().join("seccomp.json")
    }

    /// Runs `doctor --run-flags` with more arguments.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn doctor(&self, args: &[&str]) -> Output {
        let mut command = Command::new(bin("dind-launch"));
        command.env("DOCKER_HOST", host()).args(["doctor", "--run-flags", "--seccomp"]).arg(self.profile());
        command.args(args).output().unwrap()
    }

    /// The flags of one alternative, for the plain runc.
    ///
    /// # Panics
    /// There is no such alternative.
    #[must_use]
    pub fn of(&self, name: &str) -> Vec<String> {
        let alternatives = self.document["result"]["run_flags"].as_array().unwrap();
        let found = alternatives.iter().find(|one| one["name"] == name).expect("it is listed");
        let flags = found["flags"].as_array().unwrap().iter();
        let flags = flags.map(|flag| flag.as_str().unwrap().to_owned());
        RUNC.map(str::to_owned).into_iter().chain(flags).collect()
    }

    /// The reduced set without the flag whose value starts so.
    ///
    /// # Panics
    /// There is no such flag, or there are several.
    #[must_use]
    pub fn without(&self, value: &str) -> Vec<String> {
        let flags = self.of("reduced");
        let kept = flags.chunks(2).filter(|pair| !pair[1].starts_with(value));
        let kept: Vec<_> = kept.flatten().cloned().collect();
        assert_eq!(kept.len() + 2, flags.len(), "one of {flags:?} starts with {value}");
        kept
    }
}

/// Starts a node of the image under test with these flags alone.
#[must_use]
pub fn start(flags: &[String], options: &[&str]) -> Node {
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(options.iter().copied()).collect();
    Node::of_image(&image(), &flags, SLEEP)
}

/// The set makes a whole node: limits hold, ports are published, nothing is missing, and it stops in order.
///
/// # Panics
/// It does not.
pub fn makes_a_whole_node(set: &str) {
    let node = start(&RunFlags::ask().of(set), &[]);
    node.until_running();
    // The limits as the limited one sees them itself, whichever version its cgroups have; and that one of them holds.
    let script = "echo hello
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max \
            /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null
        for n in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait";
    let limits = ["docker", "run", "--rm", "--memory", "64m", "--pids-limit", "4"];
    let crowd = node.exec(&[&limits[..], &[&inner_image(), "sh", "-c", script]].concat());
    assert_eq!(crowd.stdout, format!("hello\n{}\n4", 64 << 20), "{crowd:?}");
    assert!(crowd.stderr.contains("can't fork"), "the limit on processes does not hold: {crowd:?}");

    // A port that is published to the node's network, seen from the outer host.
    node.inner_run(
        &["--publish", "8080:80", "--stop-signal", "KILL"],
        "mkdir /w; echo page > /w/index.html; exec httpd -f -p 80 -h /w",
    );
    let url = format!("http://{}:8080/", address_of(&node.name));
    eventually("the published port answers", LIMIT, || {
        let page = on_host(&["busybox", "wget", "-q", "-O", "-", &url]);
        (page.stdout == "page").then_some(())
    });

    let script =
        "dind-launch status --healthy >/dev/null && dind-launch doctor >/dev/null && dind-launch prepare";
    let again: Value = serde_json::from_str(&node.exec(&["sh", "-c", script]).ok()).unwrap();
    let writable = again["steps"].as_array().unwrap().iter().filter(|step| step["op"] == "remount-writable");
    assert_eq!(writable.count(), 0, "all is writable already: {again}");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}
