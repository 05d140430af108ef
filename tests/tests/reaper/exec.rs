//! `exec`: the containers are stopped with a command.

use crate::engine::{Engine, IGNORES, LIMIT, TRAPS, signal};
use assert_cmd::Command;
use dind_tests::{eventually, promise, within};
use std::io::{BufRead, BufReader, Read as _};
use std::ops::{Deref, DerefMut};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// An init that ends with the test, even if that fails before it has ended by itself.
struct Exec(Child);

impl Deref for Exec {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Exec {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `exec` with a shell script that has said `ready`.
fn exec(engine: &Engine, budget: &str, script: &str) -> (Exec, impl BufRead) {
    let mut exec = engine.reaper(&["exec", "--budget", budget, "--", "sh", "-c", script]);
    let mut exec = exec.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(exec.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (Exec(exec), stdout)
}

#[test]
fn exec_stops_the_containers_when_its_command_ends_and_keeps_the_status() {
    let engine = Engine::start();
    engine.run("one", &[], TRAPS);
    let output =
        Command::from_std(engine.reaper(&["exec", "--", "sh", "-c", "echo mine; exit 42"])).output().unwrap();
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(output.stdout, b"mine\n", "stdout is the command's");
    assert!(engine.runs_nothing());
    let exit = engine.docker(&["inspect", "--format", "{{.State.ExitCode}}", "one"]).ok();
    assert_eq!(exit, "3", "it was asked, not killed");
}

#[test]
fn exec_stops_the_containers_after_the_command() {
    let engine = Engine::start();
    engine.run("one", &[], TRAPS);
    let host = engine.host();
    let script = format!(
        "trap 'DOCKER_HOST={host} docker ps --quiet | grep -c .; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    );
    let (mut exec, mut stdout) = exec(&engine, "9s", &script);
    signal(&exec, "TERM");
    let mut seen = String::new();
    stdout.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "1\n", "the container still ran when the command was asked");
    assert_eq!(exec.wait().unwrap().code(), Some(5));
    assert!(engine.runs_nothing());
}

#[test]
fn exec_stops_the_containers_although_the_command_ignores_the_signal() {
    let engine = Engine::start();
    engine.run("polite", &[], TRAPS);
    engine.run("deaf", &[], IGNORES);
    let (mut exec, _stdout) = exec(&engine, "3s", "trap '' TERM; echo ready; while :; do sleep 1; done");
    signal(&exec, "TERM");
    let begun = Instant::now();
    eventually("the polite container has ended", LIMIT, || {
        (engine.docker(&["inspect", "--format", "{{.State.ExitCode}}{{.State.Running}}", "polite"]).ok()
            == "3false")
            .then_some(())
    });
    assert!(begun.elapsed() > Duration::from_millis(580), "the command had less than its 20 % of the budget");
    eventually("the deaf one too", LIMIT, || engine.runs_nothing().then_some(()));
    promise("a stop with a budget of 3 s", begun.elapsed(), Duration::from_millis(3500));
    assert!(exec.try_wait().unwrap().is_none(), "an init does not kill its command");
    // And does not protect it either.
    let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", exec.id())).unwrap();
    let killed = std::process::Command::new("kill").args(["-s", "KILL", child.trim()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(exec.wait().unwrap().code(), Some(137));
}

#[test]
fn a_second_signal_to_exec_ends_the_grace_period() {
    let engine = Engine::start();
    engine.run("deaf", &[], IGNORES);
    let (mut exec, _stdout) =
        exec(&engine, "60s", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done");
    signal(&exec, "TERM");
    let begun = Instant::now();
    eventually("the stop of the containers is under way", LIMIT, || {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", exec.id())).unwrap();
        let stops = |pid: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.starts_with("dind-reaper\0stop"))
        };
        children.split_whitespace().any(stops).then_some(())
    });
    signal(&exec, "INT");
    assert_eq!(exec.wait().unwrap().code(), Some(9));
    within("the stop", begun.elapsed(), Duration::from_secs(9));
    assert!(engine.runs_nothing());
}
