//! What only the first process of a container meets: nobody else ends what is left, and its own end is everybody's.

use crate::site::{LIMIT, Site, stderr};
use dind_tests::{bin, eventually};
use std::fs;

#[test]
fn leftovers_that_start_others_are_ended_before_anything_is_released() {
    let site = Site::new();
    // Those that only sleep make it a while from the look at the processes to the last signal.
    let main = "setsid sh -c 'trap \"\" TERM; for i in $(seq 300); do sleep 61 & done'; \
                for i in 1 2 3 4; do \"$0\" hop \"$1\" & done; until grep -q hop \"$1\"; do :; done; exit 0";
    let events = site.path().join("events");
    let output =
        site.run(&["sh", "-c", main, env!("CARGO_BIN_EXE_dind-test-child"), events.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let events = site.events();
    let released = events.iter().position(|event| event == "dind-net release").unwrap();
    assert!(events[..released].iter().any(|event| event == "hop"));
    assert_eq!(events[released..], ["dind-net release", "dind-storage release"]);
}

#[test]
fn what_the_death_of_a_leftover_orphans_is_ended_too() {
    let site = Site::new();
    // Not the first process: it sees its own children only, and gets the second of the two when the first is killed.
    let main = "setsid sh -c 'trap \"\" TERM; sh -c \"touch /run/up; while :; do sleep 0.05; done\" & \
                while :; do sleep 0.05; done' & until [ -e /run/up ]; do sleep 0.05; done";
    let script = "\"$@\"; pgrep -f 'while :' > /run/left; exit 0";
    let launcher = bin("dind-launch");
    let launcher = launcher.to_str().unwrap();
    let output = site.program(&["sh", "-c", script, "sh", launcher, "run", "--", "sh", "-c", main]).output();
    let output = output.unwrap();
    // The script that asks is the only one.
    let left = fs::read_to_string(site.path().join("run/left")).unwrap();
    assert_eq!(left, "1\n", "{}", stderr(&output));
}

#[test]
fn an_error_of_poll_is_logged_once_and_ends_nothing() {
    let site = Site::new();
    // poll refuses more descriptors than the process may have. Signals arrive all the same.
    let main = "trap got=1 USR1; prlimit --pid 1 --nofile=1:4096; kill -USR1 1; \
                while [ -z \"$got\" ]; do sleep 0.05; done; prlimit --pid 1 --nofile=4096:4096; exit 3";
    let output = site.run(&["sh", "-c", main]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let refusals = stderr(&output).matches("cannot wait for signals and children: ").count();
    assert_eq!(refusals, 1, "{}", stderr(&output));
    assert_eq!(site.events().last().map(String::as_str), Some("dind-storage release"));
}

#[test]
fn a_daemon_with_the_pid_of_a_dead_one_is_alive() {
    let site = Site::new();
    // The next process gets the number behind this one, if it is free.
    let main = "trap 'exit 9' TERM; touch /run/up; while [ ! -s /run/last ]; do :; done; read last < /run/last; \
                while :; do echo $last > /proc/sys/kernel/ns_last_pid; done";
    let mut command = site.command(&["run", "--", "sh", "-c", main]);
    command.env("DIND_ENGINE_RESTART", "on-failure:1");
    let running = site.spawn_command(command);
    running.until_up();
    let pid = site.record()["engine_pid"].as_i64().unwrap();
    fs::write(site.path().join("run/next"), (pid - 1).to_string()).unwrap();
    fs::rename(site.path().join("run/next"), site.path().join("run/last")).unwrap();
    running.kill_daemon("engine_pid");
    let record = eventually("it has been started again", LIMIT, || {
        let record = site.record();
        (record["engine_restarts"] == 1 && record["state"] != "starting").then_some(record)
    });
    assert_eq!((&record["engine_pid"], &record["state"]), (&pid.into(), &"running".into()), "{record}");
    running.signal(nix::sys::signal::Signal::SIGTERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
}
