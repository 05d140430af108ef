//! `plan` and `stop`: who is asked, who is killed, and when.

use crate::engine::{Engine, IGNORES, LIMIT, TRAPS, endings};
use dind_tests::{eventually, promise, within};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_plan_lists_and_changes_nothing() {
    let engine = Engine::start();
    engine.run("one", &["--stop-signal", "QUIT", "--stop-timeout", "2"], TRAPS);
    let (document, status, _) = engine.reap(&["plan"]);
    let running = &document["result"]["running"][0];
    assert_eq!((status, &document["changed"]), (0, &Value::from(false)));
    assert_eq!(running["name"], "one");
    assert_eq!(running["stop_signal"], "QUIT");
    assert_eq!((&running["stop_timeout"], &running["grace_ms"]), (&Value::from(2), &Value::from(2000)));
    assert!(!engine.runs_nothing());
}

#[test]
fn containers_that_handle_term_end_gracefully_and_a_second_stop_changes_nothing() {
    let engine = Engine::start();
    for name in ["one", "two", "three"] {
        engine.run(name, &[], TRAPS);
    }
    let (document, status, took) = engine.reap(&["stop"]);
    assert_eq!(status, 0);
    assert_eq!(endings(&document), ["one graceful 3", "three graceful 3", "two graceful 3"]);
    within("the stop", took, Duration::from_secs(3));
    assert!(engine.runs_nothing());
    let (document, status, _) = engine.reap(&["stop"]);
    assert_eq!((status, &document["changed"]), (0, &Value::from(false)));
}

#[test]
fn containers_that_ignore_term_are_killed_within_the_budget() {
    let engine = Engine::start();
    for name in ["one", "two", "three"] {
        engine.run(name, &[], IGNORES);
    }
    engine.run("own", &["--stop-timeout", "1"], IGNORES);
    let (document, status, took) = engine.reap(&["stop", "--budget", "4s"]);
    assert_eq!(status, 0);
    assert!(endings(&document).iter().all(|ending| ending.ends_with("killed 137")), "{document}");
    assert!(took > Duration::from_secs(3), "{took:?}");
    promise("a stop with a budget of 4 s", took, Duration::from_secs(4));
    let first = &document["result"]["stopped"][0];
    assert_eq!(first["name"], "own", "its own timeout is shorter");
    let first_took = Duration::from_millis(first["ms"].as_u64().unwrap());
    assert!(first_took >= Duration::from_secs(1), "{first}");
    within(first, first_took, Duration::from_secs(2));
    assert!(engine.runs_nothing());
}

#[test]
fn a_budget_of_a_fraction_of_a_second_is_kept() {
    let engine = Engine::start();
    engine.run("deaf", &[], IGNORES);
    let (document, status, took) = engine.reap(&["stop", "--budget", "2500ms"]);
    assert_eq!((status, endings(&document)), (0, vec!["deaf killed 137".to_owned()]));
    assert!(took > Duration::from_millis(1500), "{took:?}");
    promise("a stop with a budget of 2.5 s", took, Duration::from_millis(2500));
}

#[test]
fn paused_restarting_and_short_lived_containers_are_stopped() {
    let engine = Engine::start();
    engine.run("paused", &[], TRAPS);
    engine.docker(&["pause", "paused"]).ok();
    engine.run("paused-deaf", &["--stop-timeout", "1"], IGNORES);
    engine.docker(&["pause", "paused-deaf"]).ok();
    engine.run("always", &["--restart", "always"], TRAPS);
    engine.run("removed", &["--rm"], TRAPS);
    engine.run("loop", &["--restart", "always"], "exit 1");
    eventually("the engine waits between two runs", LIMIT, || {
        let state = engine.docker(&["inspect", "--format", "{{.State.Status}}", "loop"]).ok();
        (state == "restarting").then_some(())
    });
    let (document, status, _) = engine.reap(&["stop", "--budget", "5s"]);
    assert_eq!(status, 0, "{document}");
    let endings = endings(&document);
    for expected in ["paused graceful 3", "paused-deaf killed 137", "always graceful 3", "removed graceful 3"]
    {
        assert!(endings.iter().any(|ending| ending == expected), "{expected}: {endings:?}");
    }
    assert!(endings.iter().any(|ending| ending.starts_with("loop ")), "{endings:?}");
    assert!(engine.runs_nothing());
}

#[test]
fn of_thirty_containers_those_that_ignore_term_do_not_delay_the_others() {
    let engine = Engine::start();
    std::thread::scope(|scope| {
        for number in 0..30 {
            let engine = &engine;
            let script = if number % 2 == 0 { TRAPS } else { IGNORES };
            scope.spawn(move || engine.run(&format!("many-{number}"), &[], script));
        }
    });
    let (document, status, took) = engine.reap(&["stop", "--budget", "6s"]);
    assert_eq!((status, endings(&document).len()), (0, 30), "{document}");
    promise("a stop with a budget of 6 s", took, Duration::from_secs(6));
    // In the order of their ends.
    let stopped = document["result"]["stopped"].as_array().unwrap();
    let outcomes: Vec<_> = stopped.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, [["graceful"; 15], ["killed"; 15]].concat(), "{document}");
    assert!(engine.runs_nothing());
}

#[test]
fn a_container_that_starts_during_the_stop_is_stopped_too() {
    let engine = Engine::start();
    engine.run("deaf", &[], IGNORES);
    let stop = engine.reaper(&["stop", "--budget", "4s"]).stdout(Stdio::piped()).spawn().unwrap();
    // It ends the first, so the stop is under way by then.
    engine.run("late", &[], TRAPS);
    let output = stop.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(endings(&document), ["deaf killed 137", "late graceful 3"]);
    assert!(engine.runs_nothing());
}
