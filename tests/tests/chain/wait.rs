//! `wait`: what it ends with, and when.

use crate::site::{LIMIT, Site, stderr};
use dind_tests::{bin, eventually};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;

/// A script as PID 1, in which `$LAUNCH` is the launcher and `waits` a wait that leaves its document and status in /run.
fn script(site: &Site, text: &str) -> std::process::Command {
    let waits = r#"waits() { "$LAUNCH" wait "$@" >/run/waited; echo $? >/run/status.tmp; mv /run/status.tmp /run/status; }"#;
    let mut command = site.program(&["sh", "-c", &format!("{waits}\n{text}")]);
    command.env("LAUNCH", bin("dind-launch")).env("HOME", site.path());
    command
}

/// The exit status of the wait and its document, once it has ended.
fn waited(site: &Site) -> (i32, Value) {
    let status = eventually("the wait has ended", LIMIT, || {
        fs::read_to_string(site.path().join("run/status")).ok()?.trim().parse().ok()
    });
    let text = fs::read_to_string(site.path().join("run/waited")).unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
}

fn is_waiting(site: &Site) -> bool {
    !site.path().join("run/status").exists()
}

#[test]
fn a_wait_that_begins_before_the_launcher_ends_when_the_node_is_ready() {
    let site = Site::new();
    // Twice, on the same files: the record of the first life says that it has stopped.
    for _ in 0..2 {
        let running = site.spawn_command(script(&site, r#"waits & exec "$LAUNCH" run -- sleep 60"#));
        let (status, report) = waited(&site);
        let result = &report["result"];
        assert_eq!(
            (status, &result["outcome"], &result["state"]),
            (0, &json!("ready"), &json!("running")),
            "{report}"
        );
        running.signal(Signal::SIGTERM);
        assert_eq!(running.finish().status.code(), Some(143));
        assert_eq!(site.record()["state"], "stopped");
        fs::remove_file(site.path().join("run/status")).unwrap();
    }
}

#[test]
fn a_start_that_fails_ends_the_wait_with_its_reason() {
    let site = Site::new().mode("dockerd", "die");
    let running = site.spawn_command(script(&site, r#""$LAUNCH" run -- sleep 60 & waits; exec sleep 60"#));
    let (status, report) = waited(&site);
    assert_eq!((status, &report["error"]["code"]), (69, &json!("node-ended")), "{report}");
    let details = &report["error"]["details"];
    assert_eq!((&details["outcome"], &details["exit_status"]), (&json!("failed"), &json!(125)), "{report}");
    assert_eq!(details["error"]["code"], "engine-died");
    running.signal(Signal::SIGKILL);
    running.finish();
}

#[test]
fn a_node_that_stops_and_a_launcher_that_is_killed_end_the_wait() {
    for (signal, outcome) in [("TERM", "stopped"), ("KILL", "failed")] {
        let site = Site::new().mode("dind-storage", "hang apply");
        let running =
            site.spawn_command(script(&site, r#""$LAUNCH" run -- sleep 60 & waits; exec sleep 60"#));
        running.until_event("dind-storage apply");
        assert!(is_waiting(&site));
        running.signal_inside(signal, site.record()["pid"].as_i64().unwrap());
        let (status, report) = waited(&site);
        let details = &report["error"]["details"];
        assert_eq!((status, &details["outcome"]), (69, &json!(outcome)), "{report}");
        running.signal(Signal::SIGKILL);
        running.finish();
    }
}

#[test]
fn a_timeout_is_another_status_and_names_the_stage() {
    let site = Site::new().mode("dind-storage", "hang apply");
    let running = site.spawn(&["sleep", "60"]);
    running.until_event("dind-storage apply");
    let (status, report) = running.launcher(&["wait", "--timeout", "50ms"]);
    assert_eq!((status, &report["error"]["code"]), (75, &json!("wait-timed-out")), "{report}");
    let details = &report["error"]["details"];
    assert_eq!((&details["state"], &details["stage"]), (&json!("starting"), &json!("storage")), "{report}");
    let (status, report) = running.launcher(&["wait", "--timeout", "soon"]);
    assert_eq!((status, &report["error"]["code"]), (78, &json!("duration-invalid")), "{report}");
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
}

#[test]
fn a_wait_with_neither_launcher_nor_engine_ends_when_somebody_s_engine_answers() {
    let site = Site::new().mode("dockerd", "answer").mode("containerd", "answer");
    let text = r#"waits & until [ -e /run/go ]; do sleep 0.05; done
        $HOME/containerd & $HOME/dockerd --data-root $HOME & exec sleep 60"#;
    let running = site.spawn_command(script(&site, text));
    let (status, report) = running.launcher(&["wait", "--timeout", "50ms"]);
    assert_eq!((status, &report["error"]["details"]["state"]), (75, &Value::Null), "{report}");
    assert!(is_waiting(&site));
    fs::write(site.path().join("run/go"), "").unwrap();
    let (status, report) = waited(&site);
    assert_eq!((status, &report["result"]["state"]), (0, &json!("external")), "{report}");
    running.signal(Signal::SIGKILL);
    running.finish();
}
