//! An engine that dies, is too old, or is the service itself; its log.

use crate::site::{Site, stderr};
use dind_tests::within;
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn an_engine_that_dies_or_is_too_old_is_noticed_at_once_and_the_cause_is_logged() {
    for (mode, error, cause, code) in [
        ("die", "cannot run `dockerd`: it ended with status 1", "cause: unknown flag: --stub", "engine-died"),
        ("old", "cannot run a node with `dockerd`: engine 19.03.15 is older", "", "engine-unsupported"),
    ] {
        let site = Site::new().mode("dockerd", mode);
        let started = Instant::now();
        let output = site.run(&["sleep", "60"]);
        within("a start that fails", started.elapsed(), Duration::from_secs(2));
        assert_eq!(output.status.code(), Some(125));
        let text = stderr(&output);
        assert!(text.contains(error) && text.contains(cause), "{text}");
        assert!(text.contains("dind-launch: hint: "), "{text}");
        assert_eq!(site.record()["error"]["code"], code);
        assert_eq!(site.events().last().map(String::as_str), Some("dind-storage release"));
    }
}

#[test]
fn an_engine_that_dies_later_stops_the_main_process() {
    let site = Site::new();
    let running = site.spawn(&[
        "sh",
        "-c",
        "trap 'echo asked; exit 0' TERM; touch /run/up; while :; do sleep 0.05; done",
    ]);
    running.until_up();
    running.kill_daemon("engine_pid");
    let output = running.finish();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(125), &b"asked\n"[..]),
        "{}",
        stderr(&output)
    );
}

#[test]
fn without_a_command_the_engine_is_the_service() {
    let site = Site::new();
    let running = site.spawn(&[]);
    running.until_state("running");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().status.code(), Some(0));
}

#[test]
fn the_log_goes_to_a_file_on_request() {
    let site = Site::new().mode("dockerd", "die");
    let output = site.command(&["run", "--", "true"]).env("LOG", "file").output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(fs::read_to_string(site.path().join("log/docker.log")).unwrap(), "unknown flag: --stub\n");
    assert!(!stderr(&output).lines().any(|line| line == "unknown flag: --stub"), "{}", stderr(&output));
}
