//! The order of a stop, from the times at which processes got their signals and ended: of main and inner containers by
//! the files that they leave, of the engine by strace, of the releases by the launcher's record.

use crate::fixtures::{MAIN, really_running, sh, written};
use dind_tests::outer::{LIMIT, Node, Share, docker};
use dind_tests::{eventually, scratch, stretched};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// strace on all threads of a process of a node: its signals and its end, with the time of each.
pub(crate) struct Trace {
    strace: Child,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Trace {
    /// Attaches to the one process of that name in the node, and returns when it is attached.
    pub(crate) fn of(node: &Node, name: &str) -> Self {
        let directory = scratch();
        let file = directory.path().join("trace");
        let pid = on_machine(node, name);
        let strace = Command::new("strace")
            .args(["-f", "-ttt", "--seccomp-bpf", "-e", "trace=none", "-o"])
            .arg(&file)
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tasks = format!("/proc/{pid}/task");
        eventually("strace has attached to all threads", LIMIT, || {
            let mut tasks = fs::read_dir(&tasks).unwrap().flatten();
            tasks
                .all(|task| {
                    let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
                    status.contains(&format!("TracerPid:\t{}\n", strace.id()))
                })
                .then_some(())
        });
        Self { strace, file, _directory: directory }
    }

    /// The times at which a TERM arrived.
    pub(crate) fn terms(&self) -> Vec<SystemTime> {
        self.times("--- SIGTERM ")
    }

    /// When it ended.
    pub(crate) fn end(&self) -> SystemTime {
        *self.times("+++ exited with ").last().expect("it has ended")
    }

    fn times(&self, event: &str) -> Vec<SystemTime> {
        let text = fs::read_to_string(&self.file).unwrap();
        let lines = text.lines().filter(|line| line.contains(event));
        let seconds = lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap());
        seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs_f64(seconds)).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// The pid, as the machine sees it, of the only process of that name in the node.
fn on_machine(node: &Node, name: &str) -> i32 {
    let namespace = sh(node, "readlink /proc/1/ns/pid");
    let mut pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let comm = fs::read_to_string(entry.path().join("comm")).ok()?;
        let own = fs::read_link(entry.path().join("ns/pid")).ok()?;
        (comm.trim() == name && own.as_os_str() == namespace.as_str()).then_some(pid)
    });
    let pid = pids.next().unwrap_or_else(|| panic!("no {name} in {}", node.name));
    assert_eq!(pids.next(), None, "one {name} in {}", node.name);
    pid
}

#[test]
fn a_stop_ends_main_then_inner_containers_and_the_engine_then_releases() {
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume()], MAIN);
    node.until_running();
    share.until("up");
    for name in ["one", "two"] {
        let script = format!("trap 'touch /share/{name}; exit 0' TERM; sleep infinity & wait");
        node.inner_run(&["--name", name, "--volume", "/share:/share"], &script);
    }
    assert_eq!(really_running(&node), ["one", "two"]);
    let (dockerd, containerd) = (Trace::of(&node, "dockerd"), Trace::of(&node, "containerd"));
    assert_eq!(node.stop().0, 42, "{}", node.log());

    assert_eq!((dockerd.terms().len(), containerd.terms().len()), (1, 1));
    let record = node.last_record();
    let began = |stage: &str| {
        let stages = record["stages"].as_array().unwrap();
        let stage = stages.iter().find(|one| one["name"] == stage).unwrap();
        let ms = record["started_unix_ms"].as_u64().unwrap() + stage["start_ms"].as_u64().unwrap();
        UNIX_EPOCH + Duration::from_millis(ms)
    };
    // Times of files are those of the last tick of the kernel's clock, so up to 10 ms early; those of the record are
    // counted from a start that is rounded down to a millisecond.
    let rounding = Duration::from_millis(12);
    // strace learns of an end from the kernel as the launcher does, and may be the later one. Of a signal it learns when it gets
    // to run, which is after the containers have had theirs where processors are busy.
    let (lag, late) = (Duration::from_millis(2), stretched(Duration::from_millis(20)));
    let steps = [
        ("main gets its signal", written(&share, "main")),
        // Only of what ends while it shuts down does it keep the restart policies.
        ("dockerd gets TERM", dockerd.terms()[0]),
        (
            "the first inner container gets its signal",
            written(&share, "one").min(written(&share, "two")) + rounding + late,
        ),
        ("the last one does", written(&share, "one").max(written(&share, "two")) + rounding + late),
        ("dockerd ends", dockerd.end() - lag),
        ("containerd gets TERM", containerd.terms()[0]),
        ("containerd ends", containerd.end() - lag),
        ("the network is released", began("release-net") + rounding),
        ("storage is released", began("release-storage") + rounding),
    ];
    for pair in steps.windows(2) {
        assert!(pair[0].1 <= pair[1].1, "{} before {}: {steps:#?}", pair[1].0, pair[0].0);
    }
    let exit = docker(&["inspect", "--format", "{{.State.ExitCode}}", &node.name]).ok();
    assert_eq!(exit, "42");
}
