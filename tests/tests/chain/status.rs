//! What `status` reports of each state, how it looks, and who may look.

use crate::site::{LIMIT, Running, Site, document, stderr};
use dind_tests::{copy_of, eventually, scratch};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Daemons that answer to health checks.
fn answering() -> Site {
    Site::new().mode("dockerd", "answer").mode("containerd", "answer")
}

fn code(document: &(i32, Value)) -> (i32, &str) {
    (document.0, document.1["error"]["code"].as_str().unwrap_or_default())
}

/// Each daemon that hangs makes the node unhealthy, and it is healthy again when they go on. `pids` are those of the launcher's
/// namespace.
fn hanging_daemons_are_noticed(running: &Running<'_>, pids: [(&str, i64); 2]) {
    assert_eq!(code(&running.launcher(&["status", "--healthy"])), (0, ""));
    for (name, pid) in pids {
        running.signal_inside("STOP", pid);
        // It stops when it next runs.
        let checked = eventually(name, LIMIT, || {
            let checked = running.launcher(&["status", "--healthy"]);
            (checked.0 != 0).then_some(checked)
        });
        assert_eq!(code(&checked), (69, "not-healthy"), "{name}");
        let causes = checked.1["error"]["causes"].as_array().unwrap();
        assert_eq!(causes.len(), 1, "{causes:?}");
        assert!(
            causes[0].as_str().unwrap().starts_with(&format!("{name} does not answer on ")),
            "{causes:?}"
        );
        running.signal_inside("CONT", pid);
        eventually("it is healthy again", LIMIT, || {
            (running.launcher(&["status", "--healthy"]).0 == 0).then_some(())
        });
    }
}

#[test]
fn a_stage_is_on_record_while_it_goes_on() {
    for (tool, stage) in [("dind-net", "check"), ("dind-storage", "storage")] {
        let verb = if stage == "check" { "hang plan" } else { "hang apply" };
        let site = Site::new().mode(tool, verb);
        let running = site.spawn(&["true"]);
        let under_way = json!({"name": stage, "end_ms": null});
        eventually(stage, LIMIT, || {
            let stages = site.record()["stages"].take();
            let last = stages.as_array()?.last()?;
            (json!({"name": last["name"], "end_ms": last["end_ms"]}) == under_way).then_some(())
        });
        let (status, report) = running.launcher(&["status"]);
        assert_eq!((status, &report["result"]["state"]), (0, &json!("starting")));
        let checked = running.launcher(&["status", "--healthy"]);
        assert_eq!(code(&checked), (69, "not-ready"));
        let message = checked.1["error"]["message"].as_str().unwrap();
        assert!(message.ends_with(&format!("it is starting, stage {stage}")), "{message}");
        running.signal(Signal::SIGTERM);
        assert_eq!(running.finish().status.code(), Some(143));
    }
}

#[test]
fn a_stage_of_the_stop_is_on_record_while_it_goes_on() {
    let site = Site::new();
    let running = site.spawn(&["sh", "-c", "trap '' TERM; touch /run/up; while :; do sleep 0.05; done"]);
    running.until_up();
    running.signal(Signal::SIGTERM);
    running.until_state("stopping");
    eventually("the main process is asked", LIMIT, || {
        let record = site.record();
        let last = record["stages"].as_array()?.last()?;
        (last["name"] == "stop-main" && last["end_ms"].is_null()).then_some(())
    });
    running.finish();
}

#[test]
fn a_daemon_that_hangs_is_unhealthy_and_the_check_starts_no_program() {
    let site = answering();
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    // Without `--healthy`, the storage tool of this node is asked how things are, wherever it lies.
    let (status, report) = running.launcher(&["status"]);
    assert_eq!((status, &report["result"]["documents"]["storage-now"]["mode"]), (0, &json!("plan")));
    let (record, events) = (site.record(), site.events());
    assert_eq!(events.last().map(String::as_str), Some("dind-storage plan"));
    let pid = |daemon: &str| record[daemon].as_i64().unwrap();
    hanging_daemons_are_noticed(
        &running,
        [("the engine", pid("engine_pid")), ("containerd", pid("containerd_pid"))],
    );
    assert_eq!(site.events(), events);
    assert!(
        fs::read_dir(site.path())
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with(".dind-health") })
    );
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().status.code(), Some(143));
}

#[test]
fn status_only_reads() {
    let site = answering();
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    let launcher = dind_tests::bin("dind-launch");
    let script = "mount -o remount,bind,ro /run && exec \"$@\"";
    let read_only = ["unshare", "--mount", "sh", "-c", script, "sh", launcher.to_str().unwrap(), "status"];
    let (status, report) = document(&running.enter(&read_only));
    assert_eq!((status, &report["result"]["state"]), (0, &json!("running")), "{report}");
    running.signal(Signal::SIGTERM);
    running.finish();
}

#[test]
fn record_settings_and_log_can_be_read_by_root_alone() {
    let site = answering();
    // What an earlier run has left may be readable by all.
    fs::create_dir(site.path().join("run/dind")).unwrap();
    for left in ["launch.json", "launch.lock", "launch.tmp", "daemon.json"] {
        fs::write(site.path().join("run/dind").join(left), "{}").unwrap();
    }
    let mut command = site.command(&["run", "--", "sleep", "60"]);
    command.env("LOG", "file");
    let running = site.spawn_command(command);
    running.until_state("running");
    let mode = |path: &str| fs::metadata(site.path().join(path)).unwrap().permissions().mode() & 0o777;
    for path in ["run/dind/launch.json", "run/dind/launch.lock", "run/dind/daemon.json", "log/docker.log"] {
        assert_eq!(mode(path), 0o600, "{path}");
    }
    assert_eq!(mode("run/dind"), 0o711);

    let directory = scratch();
    let copy = copy_of("dind-launch", directory.path());
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    for healthy in [&[][..], &["--healthy"]] {
        let words = [&nobody, &[copy.to_str().unwrap(), "status"][..], healthy].concat();
        let checked = document(&running.enter(&words));
        assert_eq!(code(&checked), (77, "not-root"));
        assert!(checked.1["error"]["hint"].as_str().unwrap().contains("--user 0"), "{checked:?}");
    }
    running.signal(Signal::SIGTERM);
    running.finish();
}

#[test]
fn the_refusal_of_a_second_launcher_names_the_first_and_how_to_stop_it() {
    let site = Site::new();
    let launcher = dind_tests::bin("dind-launch");
    let script = format!("{} run -- sleep 60 & exec sleep 60", launcher.display());
    let container = site.spawn_command(site.program(&["sh", "-c", &script]));
    container.until_state("running");
    let pid = site.record()["pid"].as_i64().unwrap();
    assert_ne!(pid, 1);
    let second = container.enter(&[launcher.to_str().unwrap(), "run", "--", "true"]);
    assert_eq!(second.status.code(), Some(125));
    let refusal = stderr(&second);
    assert!(refusal.contains(&format!("runs in this container, with pid {pid}\n")), "{refusal}");
    assert!(refusal.contains(&format!("kill -TERM {pid};")), "{refusal}");
    container.signal_inside("TERM", pid);
    container.until_state("stopped");
    container.signal(Signal::SIGKILL);
    container.finish();
}

#[test]
fn an_engine_without_a_launcher_is_external_and_as_healthy_as_it_is() {
    let site = answering();
    // The record that it leaves does not hide the engine.
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    let script = "$HOME/containerd & $HOME/dockerd --containerd=/run/dind/containerd.sock --data-root $HOME & \
                  exec sleep 60";
    let mut command = site.program(&["sh", "-c", script]);
    command.env("HOME", site.path());
    let container = site.spawn_command(command);
    container.until_event("containerd start");
    let report = eventually("the engine is found", LIMIT, || {
        let (status, report) = container.launcher(&["status", "--healthy"]);
        (status == 0).then_some(report["result"].clone())
    });
    assert_eq!(
        (&report["state"], &report["pid"], &report["stages"]),
        (&json!("external"), &json!(0), &json!([]))
    );
    assert_eq!(
        (&report["engine_version"], &report["containerd_socket"], &report["daemon_json"]["data-root"]),
        (&json!("20.10.24"), &json!("/run/dind/containerd.sock"), &json!(site.path()))
    );
    let pid = |daemon: &str| report[daemon].as_i64().unwrap();
    hanging_daemons_are_noticed(
        &container,
        [("the engine", pid("engine_pid")), ("containerd", pid("containerd_pid"))],
    );
    let refused = container.enter(&[dind_tests::bin("dind-launch").to_str().unwrap(), "run", "--", "true"]);
    assert!(
        stderr(&refused).contains(&format!("dockerd, pid {}", pid("engine_pid"))),
        "{}",
        stderr(&refused)
    );
    // The refused launcher's own record.
    fs::remove_file(site.path().join("run/dind/launch.json")).unwrap();
    container.signal_inside("KILL", pid("containerd_pid"));
    assert_eq!(code(&container.launcher(&["status", "--healthy"])), (69, "not-healthy"));
    container.signal_inside("KILL", pid("engine_pid"));
    assert_eq!(code(&container.launcher(&["status", "--healthy"])), (69, "not-running"));
    container.signal(Signal::SIGKILL);
    container.finish();
}
