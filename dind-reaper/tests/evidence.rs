//! What ends `evidence`, with a stub engine: this process listens at the socket, and is the engine that ends or goes on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stub;

use dind_tests::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);

/// What it says where a signal does not end it.
const WAITS: &str = "another signal ends this";

/// `evidence` of an engine with one container.
struct Collecting {
    directory: TempDir,
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Collecting {
    /// Starts it; with an engine, waits until it follows that.
    fn start(stdin: Stdio, with_engine: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        if with_engine {
            stub::listen(&socket, engine());
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_dind-reaper"));
        command.env_clear().args(["evidence", "--name", "run", "--dir"]).arg(directory.path());
        command
            .args(["--host", &format!("unix://{}", socket.display()), "--data-root"])
            .arg(directory.path());
        let record = directory.path().join("launch.json");
        fs::write(&record, "{}").unwrap();
        command.arg("--record").arg(record);
        let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let collecting = Self { directory, child, stderr };
        // Copied when it has taken over the signals.
        let copy = collecting.run().join("record.json");
        eventually("it is under way", LIMIT, || copy.exists().then_some(()));
        if with_engine {
            eventually("the container is known", LIMIT, || collecting.state());
        }
        collecting
    }

    fn run(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    fn state(&self) -> Option<Value> {
        let text = fs::read(self.run().join("containers/web-webwebwebweb/state.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits until it says that it waits.
    fn until_it_waits(&mut self) {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        assert!(line.contains(WAITS), "{line}");
        assert!(self.child.try_wait().unwrap().is_none());
    }

    /// Waits for its end, which is a good one.
    fn ended(&mut self) -> Value {
        let status = eventually("it ends", LIMIT, || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
        serde_json::from_reader(self.child.stdout.take().unwrap()).unwrap()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It never answers a request for events or a log: nothing happens.
fn engine() -> Value {
    let state = json!({"State": {"Running": true, "Status": "running"}, "Config": {"Image": "busybox"}});
    json!({
        "GET /_ping": {"status": 200, "text": "OK"},
        "GET /events": {"status": 0},
        "GET /containers/json": {"status": 200, "body": [{"Id": "webwebwebwebweb", "Names": ["/web"]}]},
        "GET /containers/webwebwebwebweb/json": {"status": 200, "body": state},
        "GET /containers/webwebwebwebweb/logs": {"status": 0},
    })
}

#[test]
fn a_signal_ends_it_where_the_engine_goes_on() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let mut collecting = Collecting::start(Stdio::null(), true);
        collecting.signal(signal);
        let document = collecting.ended();
        assert_eq!(document["result"]["containers"], 1, "{document}");
        assert_eq!(collecting.state().unwrap()["status"], "running", "its end is not known");
    }
}

#[test]
fn a_signal_ends_it_where_no_engine_has_come() {
    let mut collecting = Collecting::start(Stdio::null(), false);
    collecting.signal(Signal::SIGTERM);
    assert_eq!(collecting.ended()["result"]["containers"], 0);
}

#[test]
fn an_engine_that_is_ending_is_waited_for_until_a_second_signal() {
    let mut collecting = Collecting::start(Stdio::null(), true);
    // The first thing that an engine does when it is to end.
    fs::remove_file(collecting.directory.path().join("socket")).unwrap();
    collecting.signal(Signal::SIGTERM);
    collecting.until_it_waits();
    collecting.signal(Signal::SIGTERM);
    assert_eq!(collecting.ended()["result"]["containers"], 1);
}

#[test]
fn a_pipe_is_read_to_its_end_after_a_signal() {
    for with_engine in [true, false] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut collecting = Collecting::start(reader.into(), with_engine);
        collecting.signal(Signal::SIGTERM);
        collecting.until_it_waits();
        writer.write_all(b"last words\n").unwrap();
        drop(writer);
        collecting.ended();
        assert_eq!(fs::read_to_string(collecting.run().join("engine.log")).unwrap(), "last words\n");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_the_end_of_a_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut collecting = Collecting::start(reader.into(), true);
    collecting.signal(Signal::SIGTERM);
    collecting.until_it_waits();
    collecting.signal(Signal::SIGINT);
    collecting.ended();
    drop(writer);
}
