//! `DIND_ENGINE_RESTART`: daemons that die while the main process runs.

use crate::site::{LIMIT, Running, Site, stderr};
use dind_tests::{eventually, within};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const MAIN: &[&str] =
    &["run", "--", "sh", "-c", "trap 'exit 9' TERM; touch /run/up; while :; do sleep 0.05; done"];

fn start<'a>(site: &'a Site, policy: &str) -> Running<'a> {
    let mut command = site.command(MAIN);
    command.env("DIND_ENGINE_RESTART", policy);
    let running = site.spawn_command(command);
    running.until_up();
    running
}

#[test]
fn a_dead_daemon_is_started_again_and_the_main_process_goes_on() {
    let site = Site::new();
    let running = start(&site, "on-failure:2");
    for (restarts, daemon, program) in [(1, "engine_pid", "dockerd"), (2, "containerd_pid", "containerd")] {
        let before = site.record()[daemon].clone();
        running.kill_daemon(daemon);
        let record = eventually("it has been started again", LIMIT, || {
            let record = site.record();
            (record["engine_restarts"] == restarts && record["state"] == "running").then_some(record)
        });
        assert!(record[daemon].is_i64() && record[daemon] != before, "{record}");
        let starts = site.events().iter().filter(|event| **event == format!("{program} start")).count();
        assert_eq!(starts, 2, "{program}");
    }
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    assert_eq!(stderr(&output).matches("; it is started again in ").count(), 2, "{}", stderr(&output));
    let events = site.events();
    assert_eq!(events.iter().filter(|event| *event == "dockerd SIGTERM").count(), 1);
    assert_eq!(events.last().map(String::as_str), Some("dind-storage release"));
}

#[test]
fn a_daemon_that_keeps_dying_ends_the_node_after_the_allowed_attempts() {
    let site = Site::new();
    let running = start(&site, "on-failure:2");
    site.set_mode("dockerd", "die");
    running.kill_daemon("engine_pid");
    let output = running.finish();
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert_eq!(site.events().iter().filter(|event| *event == "dockerd start").count(), 3);
    let record = site.record();
    assert_eq!(
        (&record["error"]["code"], &record["engine_restarts"]),
        (&"engine-died".into(), &2.into()),
        "{record}"
    );
    assert!(stderr(&output).contains("dind-launch: cause: unknown flag: --stub"), "{}", stderr(&output));
}

#[test]
fn a_signal_ends_the_pause_before_the_next_attempt() {
    let site = Site::new();
    let running = start(&site, "on-failure");
    site.set_mode("dockerd", "die");
    running.kill_daemon("engine_pid");
    // By now a pause takes 3 seconds.
    eventually("five attempts", LIMIT, || {
        (site.events().iter().filter(|event| *event == "dockerd start").count() == 6).then_some(())
    });
    let asked = Instant::now();
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    within("the stop", asked.elapsed(), Duration::from_secs(2));
}

#[test]
fn the_end_of_the_main_process_ends_the_wait_for_a_daemon() {
    let site = Site::new();
    let mut command = site.command(&[
        "run",
        "--",
        "sh",
        "-c",
        "touch /run/up; until [ -e /run/go ]; do sleep 0.05; done; exit 9",
    ]);
    command.env("DIND_ENGINE_RESTART", "on-failure:2");
    let running = site.spawn_command(command);
    running.until_up();
    site.set_mode("dockerd", "silent");
    running.kill_daemon("engine_pid");
    eventually("it is started again", LIMIT, || {
        (site.events().iter().filter(|event| *event == "dockerd start").count() == 2).then_some(())
    });
    let ended = Instant::now();
    std::fs::write(site.path().join("run/go"), "").unwrap();
    let output = running.finish();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    within("the stop", ended.elapsed(), Duration::from_secs(2));
}
