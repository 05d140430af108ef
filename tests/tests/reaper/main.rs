//! `dind-reaper` and a real engine: `DIND_TEST_DOCKER_HOST`, with containers of `DIND_TEST_INNER_IMAGE`.
//!
//! A stop stops everything that the engine runs, so the tests take turns, and refuse an engine that runs anything else.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use assert_cmd::Command;
use dind_tests::outer::{docker, inner_image};
use dind_tests::{bin, eventually};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
/// Ends with 3 on TERM.
const TRAPS: &str = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done";
/// Never ends on TERM.
const IGNORES: &str = "trap '' TERM; echo ready; while :; do sleep 1; done";

/// The engine, for one test at a time. Takes its containers with it.
struct Turn {
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let running = docker(&["ps", "--format", "{{.Names}}"]).ok();
        assert_eq!(running, "", "the engine runs containers that are not ours to stop");
        Self { _turn: turn }
    }

    /// Starts a container and waits until it has set its traps.
    fn run(&self, name: &str, options: &[&str], script: &str) {
        let name = format!("reaper-{name}");
        let image = inner_image();
        let run = ["run", "--detach", "--network", "none", "--name", &name];
        docker(&[&run[..], options, &[&image, "sh", "-c", script]].concat()).ok();
        if script.contains("echo ready") {
            eventually("the container is ready", LIMIT, || {
                (docker(&["logs", &name]).ok() == "ready").then_some(())
            });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let ours = docker(&["ps", "--all", "--quiet", "--filter", "name=^reaper-"]).stdout;
        for id in ours.lines() {
            let _ = docker(&["rm", "--force", "--volumes", id]);
        }
    }
}

fn host() -> String {
    std::env::var("DIND_TEST_DOCKER_HOST")
        .expect("DIND_TEST_DOCKER_HOST is unset: run `cargo xtask test image`")
}

fn reaper(args: &[&str]) -> std::process::Command {
    let mut reaper = std::process::Command::new(bin("dind-reaper"));
    reaper.env("DOCKER_HOST", host()).env_remove("DIND_STOP_BUDGET").args(args);
    reaper
}

/// Runs to the end; gives the document, the exit status and the time.
fn run(args: &[&str]) -> (Value, i32, Duration) {
    let begun = Instant::now();
    let output = Command::from_std(reaper(args)).timeout(LIMIT).output().unwrap();
    let document = serde_json::from_slice(&output.stdout).expect("one JSON document");
    (document, output.status.code().unwrap(), begun.elapsed())
}

/// `name outcome exit-code` of each stopped container, sorted.
fn endings(document: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let stopped = document["result"]["stopped"].as_array().unwrap_or_else(|| panic!("{document}"));
    let mut endings: Vec<String> = stopped
        .iter()
        .map(|one| format!("{} {} {}", text(&one["name"]), text(&one["outcome"]), text(&one["exit_code"])))
        .collect();
    endings.sort();
    endings
}

fn nothing_runs() -> bool {
    docker(&["ps", "--quiet"]).ok().is_empty()
}

fn signal(child: &Child, name: &str) {
    let kill =
        std::process::Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

#[test]
fn a_plan_lists_and_changes_nothing() {
    let turn = Turn::take();
    turn.run("one", &["--stop-signal", "QUIT", "--stop-timeout", "2"], TRAPS);
    let (document, status, _) = run(&["plan"]);
    let running = &document["result"]["running"][0];
    assert_eq!((status, &document["changed"]), (0, &Value::from(false)));
    assert_eq!(running["name"], "reaper-one");
    assert_eq!(running["stop_signal"], "QUIT");
    assert_eq!((&running["stop_timeout"], &running["grace_ms"]), (&Value::from(2), &Value::from(2000)));
    assert!(!nothing_runs());
}

#[test]
fn those_that_listen_end_by_themselves_and_a_second_stop_changes_nothing() {
    let turn = Turn::take();
    for name in ["a", "b", "c"] {
        turn.run(name, &[], TRAPS);
    }
    let (document, status, took) = run(&["stop"]);
    assert_eq!(status, 0);
    assert_eq!(endings(&document), ["reaper-a graceful 3", "reaper-b graceful 3", "reaper-c graceful 3"]);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(nothing_runs());
    let (document, status, _) = run(&["stop"]);
    assert_eq!((status, &document["changed"]), (0, &Value::from(false)));
}

#[test]
fn those_that_do_not_are_killed_within_the_budget() {
    let turn = Turn::take();
    for name in ["a", "b", "c"] {
        turn.run(name, &[], IGNORES);
    }
    turn.run("own", &["--stop-timeout", "1"], IGNORES);
    let (document, status, took) = run(&["stop", "--budget", "4s"]);
    assert_eq!(status, 0);
    assert!(endings(&document).iter().all(|ending| ending.ends_with("killed 137")), "{document}");
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
    let first = &document["result"]["stopped"][0];
    assert_eq!(first["name"], "reaper-own", "its own timeout is shorter");
    assert!((1000..2000).contains(&first["ms"].as_u64().unwrap()), "{first}");
    assert!(nothing_runs());
}

#[test]
fn a_budget_of_no_whole_seconds_is_kept() {
    let turn = Turn::take();
    turn.run("deaf", &[], IGNORES);
    let (document, status, took) = run(&["stop", "--budget", "2500ms"]);
    assert_eq!((status, endings(&document)), (0, vec!["reaper-deaf killed 137".to_owned()]));
    assert!(took > Duration::from_millis(1500) && took < Duration::from_millis(2500), "{took:?}");
}

#[test]
fn paused_restarting_and_short_lived_ones() {
    let turn = Turn::take();
    turn.run("paused", &[], TRAPS);
    docker(&["pause", "reaper-paused"]).ok();
    turn.run("paused-deaf", &["--stop-timeout", "1"], IGNORES);
    docker(&["pause", "reaper-paused-deaf"]).ok();
    turn.run("always", &["--restart", "always"], TRAPS);
    turn.run("removed", &["--rm"], TRAPS);
    turn.run("loop", &["--restart", "always"], "exit 1");
    eventually("the engine waits between two runs", LIMIT, || {
        let state = docker(&["inspect", "--format", "{{.State.Status}}", "reaper-loop"]).ok();
        (state == "restarting").then_some(())
    });
    let (document, status, _) = run(&["stop", "--budget", "5s"]);
    assert_eq!(status, 0, "{document}");
    let endings = endings(&document);
    for expected in [
        "reaper-paused graceful 3",
        "reaper-paused-deaf killed 137",
        "reaper-always graceful 3",
        "reaper-removed graceful 3",
    ] {
        assert!(endings.iter().any(|ending| ending == expected), "{expected}: {endings:?}");
    }
    assert!(endings.iter().any(|ending| ending.starts_with("reaper-loop ")), "{endings:?}");
    assert!(nothing_runs());
}

#[test]
fn of_thirty_those_that_ignore_the_signal_do_not_keep_it_from_the_others() {
    let turn = Turn::take();
    std::thread::scope(|scope| {
        for number in 0..30 {
            let turn = &turn;
            let script = if number % 2 == 0 { TRAPS } else { IGNORES };
            scope.spawn(move || turn.run(&format!("many-{number}"), &[], script));
        }
    });
    let (document, status, took) = run(&["stop", "--budget", "6s"]);
    assert_eq!((status, endings(&document).len()), (0, 30), "{document}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    // In the order of their ends.
    let stopped = document["result"]["stopped"].as_array().unwrap();
    let outcomes: Vec<_> = stopped.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, [["graceful"; 15], ["killed"; 15]].concat(), "{document}");
    assert!(nothing_runs());
}

#[test]
fn one_that_starts_during_the_stop_is_stopped_too() {
    let turn = Turn::take();
    turn.run("deaf", &[], IGNORES);
    let stop = reaper(&["stop", "--budget", "4s"]).stdout(Stdio::piped()).spawn().unwrap();
    // It ends the first, so the stop is under way by then.
    turn.run("late", &[], TRAPS);
    let output = stop.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(endings(&document), ["reaper-deaf killed 137", "reaper-late graceful 3"]);
    assert!(nothing_runs());
}

#[test]
fn watch_waits_for_a_signal_and_a_second_one_skips_the_grace() {
    let turn = Turn::take();
    turn.run("deaf", &[], IGNORES);
    let watch = reaper(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let caught = |field: &str| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", watch.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix(field)).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap()
    };
    eventually("watch has taken over the signals", LIMIT, || {
        (caught("SigBlk:") & (1 << 14) != 0).then_some(())
    });
    signal(&watch, "TERM");
    let begun = Instant::now();
    // The engine tells of the stop signal once it is sent.
    let since = "--since=1m";
    eventually("the container was asked", LIMIT, || {
        let events = docker(&[
            "events",
            since,
            "--until=0s",
            "--filter",
            "event=kill",
            "--format",
            "{{.Actor.Attributes.name}}",
        ]);
        events.stdout.lines().any(|line| line == "reaper-deaf").then_some(())
    });
    signal(&watch, "TERM");
    let output = watch.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["mode"]), (Some(0), &Value::from("watch")));
    assert_eq!(endings(&document), ["reaper-deaf killed 137"]);
}

/// `exec` with a shell script that has said `ready`.
fn exec(budget: &str, script: &str) -> (Child, impl BufRead) {
    let mut exec = reaper(&["--budget", budget, "exec", "--", "sh", "-c", script]);
    let mut exec = exec.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(exec.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (exec, stdout)
}

#[test]
fn exec_stops_the_containers_when_its_command_ends_and_keeps_the_status() {
    let turn = Turn::take();
    turn.run("one", &[], TRAPS);
    let output =
        Command::from_std(reaper(&["exec", "--", "sh", "-c", "echo mine; exit 42"])).output().unwrap();
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(output.stdout, b"mine\n", "stdout is the command's");
    assert!(nothing_runs());
    let exit = docker(&["inspect", "--format", "{{.State.ExitCode}}", "reaper-one"]).ok();
    assert_eq!(exit, "3", "it was asked, not killed");
}

#[test]
fn exec_lets_the_command_end_before_the_containers() {
    let turn = Turn::take();
    turn.run("one", &[], TRAPS);
    let host = host();
    let script = format!(
        "trap 'DOCKER_HOST={host} docker ps --quiet | grep -c .; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    );
    let (mut exec, mut stdout) = exec("9s", &script);
    signal(&exec, "TERM");
    let mut seen = String::new();
    stdout.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "1\n", "the container still ran when the command was asked");
    assert_eq!(exec.wait().unwrap().code(), Some(5));
    assert!(nothing_runs());
}

#[test]
fn exec_stops_the_containers_beside_a_command_that_ignores_the_signal() {
    let turn = Turn::take();
    turn.run("polite", &[], TRAPS);
    turn.run("deaf", &[], IGNORES);
    let (mut exec, _stdout) = exec("3s", "trap '' TERM; echo ready; while :; do sleep 1; done");
    signal(&exec, "TERM");
    let begun = Instant::now();
    eventually("the polite container has ended", LIMIT, || {
        (docker(&["inspect", "--format", "{{.State.ExitCode}}{{.State.Running}}", "reaper-polite"]).ok()
            == "3false")
            .then_some(())
    });
    assert!(begun.elapsed() > Duration::from_millis(1000), "the command has 35 % for itself");
    eventually("the deaf one too", LIMIT, || nothing_runs().then_some(()));
    assert!(begun.elapsed() < Duration::from_millis(3500), "{:?}", begun.elapsed());
    assert!(exec.try_wait().unwrap().is_none(), "an init does not kill its command");
    // Nor does it spare it.
    let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", exec.id())).unwrap();
    let killed = std::process::Command::new("kill").args(["-s", "KILL", child.trim()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(exec.wait().unwrap().code(), Some(137));
}

#[test]
fn a_second_signal_to_exec_skips_the_grace() {
    let turn = Turn::take();
    turn.run("deaf", &[], IGNORES);
    let (mut exec, _stdout) = exec("60s", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done");
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
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(nothing_runs());
}
