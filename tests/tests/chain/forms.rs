//! The forms of a command that docker:dind knows.

use crate::site::{Site, document, stderr};
use dind_tests::bin;
use nix::sys::signal::Signal;
use serde_json::json;
use std::os::unix::fs::symlink;

#[test]
fn flags_in_every_form_start_the_engine_as_the_service() {
    for command in [
        &["--mtu=1400", "--label", "a=b"][..],
        &["dockerd", "--mtu=1400", "--label", "a=b"],
        &["dockerd-entrypoint.sh", "--mtu=1400", "--label", "a=b"],
        &["dockerd-entrypoint.sh", "dockerd", "--mtu", "1400", "--label", "a=b"],
    ] {
        let site = Site::new();
        let mut run = site.command(&[&["run", "--"], command].concat());
        run.env("DOCKER_DAEMON_ARGS", "--mtu=1300 --debug");
        let running = site.spawn_command(run);
        running.until_state("running");
        let record = site.record();
        let found = (&record["command"], &record["main_pid"], &record["daemon_json"]["mtu"]);
        assert_eq!(found, (&json!([]), &json!(null), &json!(1400)), "{command:?}");
        let (_, plan) = running.launcher(&[&["plan", "--"], command].concat());
        assert_eq!(plan["result"]["daemon_args"], json!(["--label", "a=b"]), "{plan}");
        running.signal(Signal::SIGTERM);
        let output = running.finish();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

#[test]
fn a_link_with_the_entrypoint_s_name_is_the_entrypoint() {
    let site = Site::new();
    let link = site.path().join("dockerd-entrypoint.sh");
    symlink(bin("dind-launch"), &link).unwrap();
    let running = site.spawn_command(site.program(&[link.to_str().unwrap(), "--mtu=1400"]));
    running.until_state("running");
    assert_eq!(site.record()["daemon_json"]["mtu"], 1400);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().status.code(), Some(0));
    // A program behind it runs beside the engine, and its status is the node's.
    let output = site.program(&[link.to_str().unwrap(), "sh", "-c", "echo main; exit 3"]).output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &b"main\n"[..]), "{}", stderr(&output));
}

#[test]
fn a_dockerd_that_only_prints_starts_no_node() {
    for command in [&["dockerd", "--version"][..], &["--version"], &["dockerd-entrypoint.sh", "--version"]] {
        let site = Site::new();
        let output = site.run(command);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(output.stdout, b"Docker version 20.10.24, build stub\n", "{command:?}");
        assert!(site.events().is_empty(), "{:?}", site.events());
        let (status, plan) = document(&site.command(&[&["plan", "--"], command].concat()).output().unwrap());
        assert_eq!((status, &plan["steps"][0]["op"]), (0, &json!("become-program")), "{plan}");
    }
}

#[test]
fn flags_of_the_command_are_checked_as_those_of_the_variable_before_anything_starts() {
    for (command, words) in [
        (&["--host", "tcp://0.0.0.0:2375"][..], "everybody who reaches it would be root"),
        (
            &["dockerd", "-H", "tcp://0.0.0.0:2375", "--tlsverify=false"],
            "everybody who reaches it would be root",
        ),
        (&["dockerd", "--containerd=/run/x.sock"], "the node sets it itself"),
        (&["dockerd-entrypoint.sh", "--bip"], "its value is missing"),
        (&["--data-root", "/elsewhere"], "DIND_DATA_ROOT"),
    ] {
        let site = Site::new();
        let mut run = site.command(&[&["run", "--"], command].concat());
        run.env("DIND_DATA_ROOT", "/srv/docker").env("DOCKER_DAEMON_ARGS", "--tlsverify");
        let output = if command[0] == "--host" { site.run(command) } else { run.output().unwrap() };
        assert_eq!(output.status.code(), Some(125), "{command:?}");
        assert!(stderr(&output).contains(words), "{command:?}: {}", stderr(&output));
        assert!(site.events().is_empty(), "{:?}", site.events());
    }
}

#[test]
fn a_dockerd_at_a_path_is_the_one_that_runs() {
    let site = Site::new();
    let other = site.path().join("other");
    std::fs::create_dir(&other).unwrap();
    symlink(env!("CARGO_BIN_EXE_dind-stub"), other.join("dockerd")).unwrap();
    let dockerd = other.join("dockerd");
    let output = site.run(&[dockerd.to_str().unwrap(), "--version"]);
    assert_eq!(output.stdout, b"Docker version 20.10.24, build stub\n");
    let missing = site.run(&["/no/such/dockerd"]);
    assert_eq!(missing.status.code(), Some(127), "{}", stderr(&missing));
    let (_, plan) = document(&site.command(&["plan", "--", dockerd.to_str().unwrap()]).output().unwrap());
    assert_eq!(plan["result"]["programs"]["dockerd"], json!(dockerd), "{plan}");
}

#[test]
fn a_second_entrypoint_is_refused_and_the_first_engine_runs_on() {
    let site = Site::new().mode("dockerd", "answer").mode("containerd", "answer");
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    let link = site.path().join("dockerd-entrypoint.sh");
    symlink(bin("dind-launch"), &link).unwrap();
    let second = running.enter(&[link.to_str().unwrap(), "--debug"]);
    assert_eq!(second.status.code(), Some(125));
    assert!(stderr(&second).contains("another dind-launch runs in this container"), "{}", stderr(&second));
    assert_eq!(running.launcher(&["status", "--healthy"]).0, 0);
    running.signal(Signal::SIGTERM);
    running.finish();
}
