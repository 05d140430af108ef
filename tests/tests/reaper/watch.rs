//! `watch`: a stop at a signal.

use crate::engine::{Engine, IGNORES, LIMIT, endings, signal};
use dind_tests::{eventually, within};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn watch_waits_for_a_signal_and_a_second_one_ends_the_grace_period() {
    let engine = Engine::start();
    engine.run("deaf", &[], IGNORES);
    let watch = engine.reaper(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
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
    // The engine reports the stop signal once it is sent.
    let since = "--since=1m";
    eventually("the container got the stop signal", LIMIT, || {
        let events = engine.docker(&[
            "events",
            since,
            "--until=0s",
            "--filter",
            "event=kill",
            "--format",
            "{{.Actor.Attributes.name}}",
        ]);
        events.stdout.lines().any(|line| line == "deaf").then_some(())
    });
    signal(&watch, "TERM");
    let output = watch.wait_with_output().unwrap();
    within("the stop", begun.elapsed(), Duration::from_secs(5));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["mode"]), (Some(0), &Value::from("watch")));
    assert_eq!(endings(&document), ["deaf killed 137"]);
}
