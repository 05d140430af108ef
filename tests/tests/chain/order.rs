//! The order of the stages, and the exit status that comes out of it.

use crate::site::{LIMIT, Site, stderr};
use dind_tests::within;
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::Instant;

#[test]
fn stages_run_in_order_and_are_undone_in_reverse() {
    let site = Site::new();
    let output = site.run(&["sh", "-c", "echo to stdout"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(output.stdout, b"to stdout\n");
    let events = site.events();
    // The two plans run at once, and so do the two applies; containerd waits for the storage only, and dockerd for both:
    // either daemon may be the first to start.
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
fn certificates_are_there_before_dockerd_starts() {
    let site = Site::new();
    let certs = site.path().join("certs");
    let output = site.command(&["run", "--", "true"]).env("DOCKER_TLS_CERTDIR", &certs).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let record = site.record();
    let stages = record["stages"].as_array().unwrap().iter();
    let stages: Vec<&str> = stages.map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(stages[..7], ["check", "prepare", "storage", "net", "tls", "engine", "main"]);
    assert_eq!(record["daemon_json"]["tlscert"], certs.join("server/cert.pem").to_str().unwrap());
    let made = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
    let started = made(site.path().join("run/dind/daemon.json"));
    assert!(made(certs.join("client/ca.pem")) <= started, "dockerd's settings were written first");
    let warnings = record["warnings"].as_array().unwrap();
    let is_of_tls = |warning: &Value| warning["message"].as_str().unwrap().contains("DOCKER_TLS");
    assert!(!warnings.iter().any(is_of_tls), "{warnings:?}");
}

#[test]
fn the_range_of_a_bridged_node_is_probed_beside_its_start() {
    let site = Site::new().mode("dind-net", "bridged");
    let output = site.run(&["true"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let events = site.events();
    assert_eq!(events.iter().filter(|event| *event == "dind-net probe").count(), 1, "{events:?}");
    assert_eq!(site.record()["documents"]["probe"]["mode"], "probe");
    let default = Site::new();
    default.run(&["true"]);
    assert!(!default.events().contains(&"dind-net probe".to_owned()));
}

#[test]
fn a_range_in_use_is_known_before_the_main_process_and_before_an_engine_that_starts_containers() {
    for (containers, engine) in [(false, true), (true, false)] {
        let site = Site::new().mode("dind-net", "bridged fail probe");
        if containers {
            let container = site.path().join("containers/0a1b");
            std::fs::create_dir_all(&container).unwrap();
            let settings = r#"{"RestartPolicy":{"Name":"always","MaximumRetryCount":0}}"#;
            std::fs::write(container.join("hostconfig.json"), settings).unwrap();
        }
        let output = site.run(&["echo", "the main process runs"]);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(125), &b""[..]), "{}", stderr(&output));
        let events = site.events();
        let happened = |event: &str| events.iter().any(|seen| seen == event);
        assert_eq!(happened("dockerd start"), engine, "{events:?}");
        assert!(happened("dind-net release") && happened("dind-storage release"), "{events:?}");
    }
}

#[test]
fn the_network_waits_for_a_data_root_that_needs_a_mount() {
    for (mode, beside) in [("loop fail apply", false), ("fail apply", true)] {
        let site = Site::new().mode("dind-storage", mode);
        assert_eq!(site.run(&["true"]).status.code(), Some(125));
        assert_eq!(site.events().contains(&"dind-net apply".to_owned()), beside, "{mode}");
    }
}

#[test]
fn the_exit_status_is_the_main_process_own() {
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
fn orphans_leave_no_zombie_and_leftovers_are_ended() {
    let site = Site::new();
    let script = "for i in $(seq 200); do (sleep 0.01 &) ; done; (trap '' TERM; sleep 61 & wait) & \
                  while [ \"$(pgrep -c -x -P 1 sleep)\" -gt 0 ]; do sleep 0.05; done; grep -c '^State:.Z' /proc/[0-9]*/status";
    let started = Instant::now();
    let output = site.run(&["sh", "-c", script]);
    within("a run that leaves a process of 61 s", started.elapsed(), LIMIT);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.lines().count() > 2, "{text}");
    assert!(text.lines().all(|line| line.ends_with(":0")), "{text}");
}

#[test]
fn dind_net_hears_of_the_engine_s_version_and_of_the_firewall_that_the_user_has_chosen() {
    let names = ["DIND_ENGINE_VERSION", "DIND_NET_FIREWALL", "DIND_NET_FORWARD"];
    for (variable, value, expected) in [
        ("DIND_TEST", "", ["29.7.0", "", "true"]),
        ("DIND_NET_FIREWALL", "auto", ["29.7.0", "auto", "true"]),
        ("DOCKER_DAEMON_ARGS", "--firewall-backend=nftables", ["29.7.0", "nftables", "true"]),
        // There it makes no difference, and is not asked for.
        ("DIND_NET_FIREWALL", "iptables", ["", "iptables", "true"]),
        ("DOCKER_DAEMON_ARGS", "--ip-forward=false", ["", "iptables", "false"]),
        ("DOCKER_DAEMON_ARGS", "--iptables=true", ["29.7.0", "", "true"]),
    ] {
        let site = Site::new().mode("dockerd", "version 29.7.0");
        site.set_mode("dind-net", &format!("variables {}", names.join(" ")));
        let mut command = site.command(&["run", "--", "true"]);
        let output = command.env(variable, value).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let events = site.events();
        for (name, text) in names.iter().zip(expected) {
            let event = format!("dind-net apply {name}={text}");
            assert!(events.contains(&event), "{variable}={value}: {event}: {events:?}");
        }
    }
}

/// A dockerd whose file says of which package it was built, as Go leaves it there.
fn build_dockerd(site: &Site, package: &str) {
    let (info, program) = (site.path().join("buildinfo"), site.path().join("dockerd"));
    fs::write(&info, format!("path\tgithub.com/{package}/cmd/dockerd\n")).unwrap();
    fs::remove_file(&program).unwrap();
    let section = format!(".go.buildinfo={}", info.display());
    let mut objcopy = Command::new("objcopy");
    objcopy.args(["--add-section", &section, env!("CARGO_BIN_EXE_dind-stub")]).arg(&program);
    assert!(objcopy.status().unwrap().success());
}

#[test]
fn a_dockerd_whose_file_says_that_it_is_29_or_newer_is_not_asked_for_its_version() {
    for (package, expected) in [("moby/moby/v2", "29"), ("docker/docker", "")] {
        let site = Site::new().mode("dockerd", "version 29.7.0");
        build_dockerd(&site, package);
        site.set_mode("dind-net", "variables DIND_ENGINE_VERSION");
        let output = site.run(&["true"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let events = site.events();
        assert!(events.contains(&format!("dind-net apply DIND_ENGINE_VERSION={expected}")), "{events:?}");
    }
}

#[test]
fn a_dockerd_from_29_on_starts_when_containerd_answers_and_an_older_one_beside_it() {
    let (older, from_29) = ("docker/docker", "moby/moby/v2");
    let (ready, start) = ("containerd ready", "dockerd start");
    for (package, dockerd, store, has_run, expected) in [
        (older, "", "graph", true, &[start, ready][..]),
        (from_29, "impatient", "graph", false, &[ready, start]),
        (from_29, "impatient", "containerd", true, &[ready, start]),
        // A new data root: it is started at once, and again where that was too early.
        (from_29, "", "containerd", false, &[start, ready]),
        (from_29, "impatient", "containerd", false, &[start, ready, start]),
    ] {
        let site = Site::new().mode("containerd", "late").mode("dockerd", dockerd);
        site.set_mode("dind-storage", store);
        build_dockerd(&site, package);
        if has_run {
            fs::create_dir(site.path().join("containers")).unwrap();
        }
        let output = site.run(&["true"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let mut events = site.events();
        events.retain(|event| [ready, start].contains(&event.as_str()));
        assert_eq!(events, expected, "{package}, {store}: {}", stderr(&output));
        let again = stderr(&output).contains("it is started again");
        assert_eq!(again, expected.len() == 3, "{}", stderr(&output));
    }
}
