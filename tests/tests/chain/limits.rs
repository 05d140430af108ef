//! Deadlines and budgets, kept against an engine that floods and tools that hang.

use crate::site::{Site, stderr};
use dind_tests::promise;
use nix::sys::signal::Signal;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn an_engine_that_floods_its_log_is_given_up_in_time() {
    let site = Site::new().mode("dockerd", "silent flood");
    let mut command = site.command(&["run", "--", "true"]);
    command.env("DIND_READY_TIMEOUT", "3s").stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().unwrap();
    promise("a start of 3 s, and a stop with a budget of 3 s", started.elapsed(), Duration::from_secs(7));
    assert_eq!(status.code(), Some(125));
    let record = site.record();
    assert_eq!(record["error"]["code"], "engine-slow");
    let stages = record["stages"].as_array().unwrap();
    let engine = stages.iter().find(|stage| stage["name"] == "engine").unwrap();
    let took = engine["end_ms"].as_u64().unwrap() - engine["start_ms"].as_u64().unwrap();
    promise("the wait for the engine", Duration::from_millis(took), Duration::from_millis(3500));
}

#[test]
fn a_node_whose_engine_floods_its_log_is_stopped_in_time() {
    let site = Site::new().mode("dockerd", "flood");
    let main = ["run", "--", "sh", "-c", "trap 'exit 9' TERM; touch /run/up; while :; do sleep 0.05; done"];
    let mut command = site.command(&main);
    command.env("LOG", "file");
    symlink("/dev/null", site.path().join("log/docker.log")).unwrap();
    let running = site.spawn_command(command);
    running.until_up();
    let asked = Instant::now();
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    promise("a stop with a budget of 3 s", asked.elapsed(), Duration::from_secs(4));
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    assert_eq!(site.events().last().map(String::as_str), Some("dind-storage release"));
}

#[test]
fn a_release_that_hangs_is_killed_and_reported() {
    let site = Site::new().mode("dind-net", "hang release").mode("dind-storage", "hang release");
    let started = Instant::now();
    let output = site.run(&["true"]);
    // Each has a second, even when the budget is spent.
    promise("a run with a stop budget of 3 s", started.elapsed(), Duration::from_secs(5));
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    for tool in ["dind-net", "dind-storage"] {
        let error = format!("`{tool}` did not end: it was killed after ");
        assert!(stderr(&output).contains(&error), "{}", stderr(&output));
    }
}

#[test]
fn an_engine_that_does_not_answer_keeps_no_signal_waiting() {
    let site = Site::new().mode("dockerd", "mute");
    let running = site.spawn(&["true"]);
    // It has said that it is ready, and is asked for its version.
    running.until_event("dockerd request");
    let asked = Instant::now();
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    promise("a stop with a budget of 3 s", asked.elapsed(), Duration::from_secs(4));
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
}
