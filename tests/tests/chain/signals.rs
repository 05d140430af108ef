//! Signals to the launcher: at its start, while it runs, and more than one.

use crate::site::{LIMIT, Site, stderr};
use dind_tests::{eventually, promise, within};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

#[test]
fn a_signal_stops_the_main_process_first() {
    let site = Site::new();
    let running = site.spawn(&[
        "sh",
        "-c",
        "trap 'exit 7' USR1; trap 'echo got TERM; exit 9' TERM; touch /run/up; while :; do sleep 0.05; done",
    ]);
    running.until_up();
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("got TERM\n"));

    let site = Site::new();
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().status.code(), Some(143));
}

#[test]
fn other_signals_are_passed_on_and_stop_nothing() {
    let site = Site::new();
    let running = site.spawn(&[
        "sh",
        "-c",
        "trap 'exit 7' QUIT; trap 'echo hup' HUP; touch /run/up; while :; do sleep 0.05; done",
    ]);
    running.until_up();
    running.signal(Signal::SIGHUP);
    running.signal(Signal::SIGQUIT);
    let output = running.finish();
    assert_eq!((output.status.code(), output.stdout), (Some(7), b"hup\n".to_vec()));
}

#[test]
fn a_stubborn_main_process_is_killed_within_the_budget() {
    let site = Site::new().mode("dockerd", "stubborn");
    let running = site.spawn(&["sh", "-c", "trap '' TERM; touch /run/up; while :; do sleep 0.05; done"]);
    running.until_up();
    let asked = Instant::now();
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(137), "{}", stderr(&output));
    promise("a stop with a budget of 3 s", asked.elapsed(), Duration::from_secs(4));
    let events = site.events();
    assert_eq!(events.iter().filter(|event| *event == "dockerd SIGTERM").count(), 1);
    assert_eq!(events.last().map(String::as_str), Some("dind-storage release"));
}

#[test]
fn a_second_signal_ends_the_grace_period_and_skips_no_step() {
    let site = Site::new();
    let main = ["run", "--", "sh", "-c", "trap '' TERM; touch /run/up; while :; do sleep 0.05; done"];
    // The grace period alone would take 21 seconds.
    let mut command = site.command(&main);
    command.env("DIND_STOP_BUDGET", "60s");
    let running = site.spawn_command(command);
    running.until_up();
    let asked = Instant::now();
    running.signal(Signal::SIGTERM);
    running.until_state("stopping");
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(137), "{}", stderr(&output));
    within("the stop", asked.elapsed(), Duration::from_secs(1));
    let events = site.events();
    assert_eq!(events.iter().filter(|event| *event == "dockerd SIGTERM").count(), 1);
    assert_eq!(events.last().map(String::as_str), Some("dind-storage release"));
}

/// `docker stop` of a node whose engine has just died: the first signal is not the second one.
#[test]
fn the_first_signal_to_a_node_that_stops_by_itself_ends_no_grace_period() {
    let site = Site::new();
    let script =
        "trap 'touch /run/asked; while [ ! -e /run/go ]; do sleep 0.05; done; echo whole; exit 0' TERM
        touch /run/up; while :; do sleep 0.05; done";
    let mut command = site.command(&["run", "--", "sh", "-c", script]);
    command.env("DIND_STOP_BUDGET", "60s");
    let running = site.spawn_command(command);
    running.until_up();
    running.kill_daemon("engine_pid");
    let file = |name: &str| site.path().join("run").join(name);
    eventually("the main process is asked", LIMIT, || file("asked").exists().then_some(()));
    running.signal(Signal::SIGTERM);
    let status = format!("/proc/{}/status", running.pid());
    eventually("the launcher has read the signal", LIMIT, || {
        let status = std::fs::read_to_string(&status).ok()?;
        status.lines().any(|line| line == "ShdPnd:\t0000000000000000").then_some(())
    });
    std::fs::write(file("go"), "").unwrap();
    let output = running.finish();
    let ended = (output.status.code(), output.stdout.as_slice());
    assert_eq!(ended, (Some(125), &b"whole\n"[..]), "{}", stderr(&output));
}

#[test]
fn a_signal_during_the_start_undoes_it() {
    for (name, mode, event) in [
        ("dind-storage", "hang apply", "dind-storage apply"),
        ("dind-net", "hang apply", "dind-net apply"),
        ("dockerd", "silent", "dockerd start"),
    ] {
        let site = Site::new().mode(name, mode);
        let running = site.spawn(&["true"]);
        running.until_event(event);
        let asked = Instant::now();
        running.signal(Signal::SIGTERM);
        let output = running.finish();
        assert_eq!(output.status.code(), Some(143), "{name} {mode}: {}", stderr(&output));
        within(format!("{name} {mode}"), asked.elapsed(), Duration::from_secs(2));
        assert_eq!(site.events().last().map(String::as_str), Some("dind-storage release"));
    }
}
