//! The image's health check: what the outer engine shows of a node, and what looking costs.

use dind_tests::outer::{LIMIT, Node, SLEEP, ShellImage, docker, readme_entrypoint};
use dind_tests::{eventually, scratch, stretched};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const OFTEN: [&str; 2] = ["--health-interval", "100ms"];

/// What the outer engine knows of a node's health.
fn health(node: &Node) -> Value {
    let text = docker(&["inspect", "--format", "{{json .State.Health}}", &node.name]).ok();
    serde_json::from_str(&text).unwrap()
}

fn until_health(node: &Node, status: &str) {
    eventually(status, LIMIT, || (health(node)["Status"] == status).then_some(()));
}

#[test]
fn a_long_preload_is_a_start_and_no_failure() {
    let share = scratch();
    // Stands before the engine's client, which loads the archives.
    let slow = share.path().join("docker");
    let wait = "until [ -e /share/go ]; do sleep 0.05; done";
    let real = "exec env PATH=/usr/local/bin:/usr/bin docker \"$@\"";
    fs::write(&slow, format!("#!/bin/sh\n{wait}\n{real}\n")).unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
    let volumes = ["/share", "/usr/local/sbin/docker"].map(|point| {
        let source = if point == "/share" { share.path() } else { &slow };
        format!("{}:{point}", source.display())
    });
    let mounts = ["--volume", &volumes[0], "--volume", &volumes[1]];
    let node = Node::start(&[&OFTEN[..], &mounts].concat(), SLEEP);
    // The outer engine keeps the last five checks, and three failures in a row would make the node unhealthy.
    let checked = eventually("the preload takes longer than all retries", LIMIT, || {
        let health = health(&node);
        let checks = health["Log"].as_array()?;
        let late =
            |check: &Value| check["Output"].as_str().is_some_and(|text| text.contains("stage preload"));
        (checks.len() == 5 && checks.iter().all(late)).then_some(health)
    });
    assert_eq!((&checked["Status"], &checked["FailingStreak"]), (&"starting".into(), &0.into()), "{checked}");
    let period = docker(&["inspect", "--format", "{{.Config.Healthcheck.StartPeriod}}", &node.name]).ok();
    assert_eq!(period, "1h0m0s");
    fs::write(share.path().join("go"), "").unwrap();
    until_health(&node, "healthy");
    assert_eq!(node.record()["state"], "running");
}

#[test]
fn a_node_whose_engine_or_containerd_hangs_is_unhealthy_until_it_goes_on() {
    let node = Node::start(&OFTEN, SLEEP);
    until_health(&node, "healthy");
    for daemon in ["engine_pid", "containerd_pid"] {
        let pid = node.record()[daemon].to_string();
        node.exec(&["kill", "-STOP", &pid]).ok();
        until_health(&node, "unhealthy");
        node.exec(&["kill", "-CONT", &pid]).ok();
        until_health(&node, "healthy");
    }
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn a_health_check_costs_less_than_five_milliseconds() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    // `times` prints the processor time of the shell, then that of its children.
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do dind-launch status --healthy >/dev/null; done; times";
    let text = node.exec(&["sh", "-c", script]).ok();
    let seconds = |time: &str| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    let children: f64 = text.lines().last().unwrap().split(' ').map(seconds).sum();
    let each = Duration::from_secs_f64(children / 20.0);
    assert!(each < stretched(Duration::from_millis(5)), "{each:?} each");
}

#[test]
fn the_readme_s_shell_entrypoint_is_healthy_while_its_engine_is() {
    let image = ShellImage::build(&readme_entrypoint());
    let node = Node::of_image(&image.name, &[&["--privileged"], &OFTEN[..]].concat(), SLEEP);
    until_health(&node, "healthy");
    let record = node.record();
    assert_eq!((&record["state"], &record["pid"]), (&"external".into(), &0.into()));
    assert_eq!(record["daemon_json"]["data-root"], "/var/lib/docker");
    let containerd = record["containerd_pid"].to_string();
    node.exec(&["kill", "-STOP", &containerd]).ok();
    until_health(&node, "unhealthy");
    node.exec(&["kill", "-CONT", &containerd]).ok();
    until_health(&node, "healthy");
}
