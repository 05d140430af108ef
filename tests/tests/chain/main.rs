//! The launcher's own suite: stub tools and a stub engine, real processes, real signals. Each launcher is PID 1 of
//! namespaces of its own, with a /run and a cgroup folder of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "chain/restart.rs"]
mod restart;
#[path = "chain/site.rs"]
mod site;

use dind_tests::bin;
use nix::sys::signal::Signal;
use serde_json::Value;
use site::{Site, stderr};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn stages_run_in_order_and_are_undone_in_reverse() {
    let site = Site::new();
    let output = site.run(&["sh", "-c", "echo to stdout"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(output.stdout, b"to stdout\n");
    let events = site.events();
    // The two plans run at once, and so do the two applies; containerd waits for the storage only, and nobody for it: of
    // the daemons either may be the first to tell.
    let (mut plans, rest) = (events[..2].to_vec(), &events[2..]);
    plans.sort();
    assert_eq!(plans, ["dind-net plan", "dind-storage plan"]);
    let mut beside = rest[..4].to_vec();
    beside.sort();
    assert_eq!(beside, ["containerd start", "dind-net apply", "dind-storage apply", "dockerd start"]);
    let at = |event: &str| rest.iter().position(|seen| seen == event);
    assert!(at("dind-storage apply") < at("containerd start"), "{rest:?}");
    assert!(at("dind-storage apply").max(at("dind-net apply")) < at("dockerd start"), "{rest:?}");
    let expected = [
        "dind-reaper stop",
        "dockerd SIGTERM",
        "containerd SIGTERM",
        "dind-net release",
        "dind-storage release",
    ];
    assert_eq!(rest[4..], expected);
    let record = site.record();
    assert_eq!((&record["state"], &record["exit_status"]), (&"stopped".into(), &0.into()));
    let stages: Vec<&str> =
        record["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(stages[..6], ["check", "prepare", "storage", "net", "engine", "main"]);
}

#[test]
fn the_status_is_the_main_process_own() {
    let not_executable = "/etc/passwd";
    for (main, status) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["sh", "-c", "exit 255"], 255),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["sh", "-c", "kill -SEGV $$"], 139),
        (&[not_executable], 126),
        (&["no-such-command"], 127),
    ] {
        let output = Site::new().run(main);
        assert_eq!(output.status.code(), Some(status), "{main:?}: {}", stderr(&output));
    }
}

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
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    let events = site.events();
    assert_eq!(events.iter().filter(|event| *event == "dockerd SIGTERM").count(), 1);
    assert_eq!(events.last().map(String::as_str), Some("dind-storage release"));
}

#[test]
fn further_signals_cut_the_grace_short_and_never_the_order() {
    let site = Site::new();
    let running = site.spawn(&["sh", "-c", "trap '' TERM; touch /run/up; while :; do sleep 0.05; done"]);
    running.until_up();
    let asked = Instant::now();
    running.signal(Signal::SIGTERM);
    running.until_state("stopping");
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(137), "{}", stderr(&output));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    let events = site.events();
    assert_eq!(events.iter().filter(|event| *event == "dockerd SIGTERM").count(), 1);
    assert_eq!(events.last().map(String::as_str), Some("dind-storage release"));
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
        assert!(asked.elapsed() < Duration::from_secs(2), "{name} {mode}: {:?}", asked.elapsed());
        assert_eq!(site.events().last().map(String::as_str), Some("dind-storage release"));
    }
}

#[test]
fn an_engine_that_dies_or_is_too_old_is_noticed_at_once_and_why_is_said() {
    for (mode, error, cause, code) in [
        ("die", "cannot run `dockerd`: it ended with status 1", "cause: unknown flag: --stub", "engine-died"),
        ("old", "cannot run a node with `dockerd`: engine 19.03.15 is older", "", "engine-unsupported"),
    ] {
        let site = Site::new().mode("dockerd", mode);
        let started = Instant::now();
        let output = site.run(&["sleep", "60"]);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
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
        "trap 'echo told; exit 0' TERM; touch /run/up; while :; do sleep 0.05; done",
    ]);
    running.until_up();
    let engine = site.record()["engine_pid"].as_i64().unwrap().to_string();
    // The pid is one of the launcher's namespace.
    let target = running.pid().to_string();
    let killed =
        Command::new("nsenter").args(["-t", &target, "-p", "-m", "kill", "-KILL", &engine]).status().unwrap();
    assert!(killed.success());
    let output = running.finish();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(125), &b"told\n"[..]),
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

/// A main process by the name of the agent, which tells what it gets.
const AGENT: &str = "#!/bin/sh
env | grep ^MESOS_ | sort
trap 'echo USR1' USR1
trap 'echo TERM; exit 9' TERM
touch /run/up
while :; do sleep 0.05; done
";

#[test]
fn a_mesos_agent_is_found_gets_its_defaults_and_is_asked_to_leave() {
    for (wanted, expected) in [("", "USR1\nTERM\n"), ("TERM", "TERM\n")] {
        let site = Site::new();
        fs::write(site.path().join("mesos-agent"), AGENT).unwrap();
        fs::set_permissions(site.path().join("mesos-agent"), fs::Permissions::from_mode(0o755)).unwrap();
        let own = [("MESOS_RESOURCES", "cpus:7"), ("DIND_MAIN_STOP_SIGNAL", wanted)];
        let mut command = site.command(&["run"]);
        command.envs(own);
        let running = site.spawn_command(command);
        running.until_up();
        let record = site.record();
        assert_eq!(record["command"][0], "mesos-agent");
        assert_eq!(record["mesos"]["kept"][0], "MESOS_RESOURCES");
        let asked = Instant::now();
        running.signal(Signal::SIGTERM);
        let output = running.finish();
        assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
        // USR1 leaves this agent running, and the main process has 35 % of 3 s.
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        let stdout = String::from_utf8(output.stdout).unwrap();
        let defaults = record["mesos"]["defaults"].as_object().unwrap();
        let mut lines: Vec<String> =
            defaults.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
        lines.push("MESOS_RESOURCES=cpus:7".to_owned());
        lines.sort();
        assert_eq!(stdout, format!("{}\n{expected}", lines.join("\n")));
    }
}

#[test]
fn bad_input_is_told_in_one_error_and_changes_nothing() {
    let long = "dind-launch: error: ";
    for (name, value, code) in [
        ("DOCKER_DAEMON_ARGS", "--bip=10.0.0.1/8", "the node sets it itself"),
        ("DOCKER_DAEMON_ARGS", "-H tcp://0.0.0.0:2375", "everybody who reaches it would be root"),
        ("DOCKER_DAEMON_ARGS", "'open", "DOCKER_DAEMON_ARGS"),
        ("LOG", "syslog", "LOG"),
        ("DIND_READY_TIMEOUT", "soon", "DIND_READY_TIMEOUT"),
        ("DIND_STOP_BUDGET", "0", "DIND_STOP_BUDGET"),
        ("DIND_ENGINE_RESTART", "always", "DIND_ENGINE_RESTART"),
        ("DIND_MAIN_STOP_SIGNAL", "SIGNOPE", "DIND_MAIN_STOP_SIGNAL"),
        ("DIND_PRELOAD", "/no/such/folder", "/no/such/folder"),
        ("DIND_TOOLS", "/no/such/folder", "dind-storage"),
    ] {
        let site = Site::new();
        let started = Instant::now();
        let output = site.command(&["run", "--", "true"]).env(name, value).output().unwrap();
        assert!(started.elapsed() < Duration::from_secs(1));
        assert_eq!(output.status.code(), Some(125), "{name}={value}");
        let text = stderr(&output);
        assert_eq!(text.matches(long).count(), 1, "{text}");
        assert!(text.contains(code) && text.contains("dind-launch: hint: "), "{text}");
        assert_eq!((site.events(), output.stdout), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_tool_that_refuses_its_settings_stops_the_start_before_anything_changes() {
    for (mode, expected) in [
        ("fail plan", "cannot go on without `dind-net plan`: cannot please `test`: it asked for this"),
        ("babble plan", "cannot read the document of `dind-net`"),
    ] {
        let site = Site::new().mode("dind-net", mode);
        let output = site.run(&["true"]);
        assert_eq!(output.status.code(), Some(125));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(site.events().iter().all(|event| event.ends_with(" plan")), "{:?}", site.events());
    }
}

#[test]
fn a_missing_engine_is_named() {
    let site = Site::new();
    fs::remove_file(site.path().join("dockerd")).unwrap();
    let output = site.command(&["run", "--", "true"]).env("PATH", "/usr/bin:/bin").output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("cannot find `dockerd`: it is not on PATH"), "{}", stderr(&output));
    assert_eq!(site.events(), Vec::<String>::new());
}

#[test]
fn orphans_leave_no_zombie_and_what_stays_is_ended() {
    let site = Site::new();
    let script = "for i in $(seq 200); do (sleep 0.01 &) ; done; (trap '' TERM; sleep 61 & wait) & \
                  while [ \"$(pgrep -c -x -P 1 sleep)\" -gt 0 ]; do sleep 0.05; done; grep -c '^State:.Z' /proc/[0-9]*/status";
    let output = site.run(&["sh", "-c", script]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.lines().count() > 2, "{text}");
    assert!(text.lines().all(|line| line.ends_with(":0")), "{text}");
}

#[test]
fn a_second_launcher_in_one_container_is_refused_and_status_tells_of_the_first() {
    let site = Site::new();
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    let target = running.pid().to_string();
    let inside = |args: &[&str]| {
        let mut command = Command::new("nsenter");
        command.args(["-t", &target, "-p", "-m"]).arg(bin("dind-launch")).args(args);
        let path = format!("{}:{}", site.path().display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("DIND_TOOLS", site.path()).output().unwrap()
    };
    let second = inside(&["run", "--", "true"]);
    assert_eq!(second.status.code(), Some(125));
    assert!(stderr(&second).contains("another dind-launch runs in this container"), "{}", stderr(&second));
    let status: Value = serde_json::from_slice(&inside(&["status"]).stdout).unwrap();
    assert_eq!(
        (&status["result"]["state"], &status["result"]["command"][0]),
        (&"running".into(), &"sleep".into())
    );
    let chart = stderr(&inside(&["status", "--timeline"]));
    let bars = chart.lines().filter(|line| line.contains(['█', '▏'])).count();
    assert!(chart.contains("\nengine ") && bars >= 2, "{chart}");
    // The stub has no API, so the node is not healthy, and says so.
    let healthy = inside(&["status", "--healthy"]);
    assert_eq!(healthy.status.code(), Some(69));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().status.code(), Some(143));
}

#[test]
fn log_goes_to_a_file_on_request() {
    let site = Site::new().mode("dockerd", "die");
    let output = site.command(&["run", "--", "true"]).env("LOG", "file").output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(fs::read_to_string(site.path().join("log/docker.log")).unwrap(), "unknown flag: --stub\n");
    assert!(!stderr(&output).lines().any(|line| line == "unknown flag: --stub"), "{}", stderr(&output));
}
