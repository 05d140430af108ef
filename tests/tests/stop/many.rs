//! Numbers: more inner containers than dockerd could ask one after the other.

use crate::fixtures::{
    Then, alone, assert_asked, forget, outcomes, recorded_ends, start_many, stop, until_up,
};
use dind_tests::outer::{LIMIT, Node, Share, docker, inner_image};
use dind_tests::{eventually, number, promise, rounds, unique};
use serde_json::Value;
use std::time::Duration;

/// A container beside the node that keeps all processors busy, with twice as many loops as there are of them.
struct BusyLoops(String);

impl BusyLoops {
    fn start() -> Self {
        let name = unique("busy");
        let count = 2 * std::thread::available_parallelism().unwrap().get();
        let script = format!("for i in $(seq {count}); do while :; do :; done & done; echo busy; wait");
        docker(&["run", "--detach", "--name", &name, &inner_image(), "sh", "-c", &script]).ok();
        eventually("the processors are busy", LIMIT, || {
            (docker(&["logs", &name]).ok() == "busy").then_some(())
        });
        Self(name)
    }
}

impl Drop for BusyLoops {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.0]);
    }
}

/// Names for many containers.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("inner-{number}")).collect()
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The stages of a stop, and how long each took: for whoever wonders where the time went.
fn stages(record: &Value) -> String {
    let stages = record["stages"].as_array().unwrap().iter();
    let times = stages.skip_while(|stage| stage["name"] != "stop-containers").map(|stage| {
        let ms = stage["end_ms"].as_u64().unwrap_or(0).saturating_sub(stage["start_ms"].as_u64().unwrap());
        format!("{} {ms} ms", stage["name"].as_str().unwrap())
    });
    times.collect::<Vec<_>>().join(", ")
}

#[test]
fn sixty_on_busy_processors_end_by_themselves_and_come_back() {
    let _machine = alone();
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume()], &[]);
    node.until_running();
    let names = names(60);
    let inner: Vec<_> = names.iter().map(|name| (name.clone(), Then::End(0))).collect();
    start_many(&node, &share, &inner, &["--restart", "unless-stopped"]);
    for round in 0..rounds(2) {
        if round > 0 {
            forget(&share);
            docker(&["start", &node.name]).ok();
            until_up(&share, names.len());
            node.until_running();
        }
        let load = BusyLoops::start();
        let stopped = stop(&node);
        drop(load);
        let record = node.last_record();
        eprintln!(
            "60 on busy processors: {:?}, status {}; {}",
            stopped.took,
            stopped.status,
            stages(&record)
        );
        assert_asked(&share, &strs(&names), &stopped);
        let ends = recorded_ends(&node);
        let cut = ends.values().filter(|end| *end != "0").count();
        assert_eq!(
            (ends.len(), cut),
            (60, 0),
            "containers, and those not recorded to have ended with 0: {ends:?}"
        );
        assert_eq!(stopped.status, 0, "round {round}");
        promise("docker stop", stopped.took, Duration::from_secs(9));
        let outcomes = outcomes(&record);
        assert!(outcomes.len() == 60 && outcomes.values().all(|end| end == "graceful"), "{outcomes:?}");
    }
}

#[test]
fn a_crowd_has_its_signal_in_time_and_what_is_cut_is_reported() {
    let _machine = alone();
    let share = Share::new();
    let node = Node::start(&["--volume", &share.volume()], &[]);
    node.until_running();
    let names = names(number("DIND_TEST_CROWD", 150));
    // Some take a while, and would see a second signal.
    let then = |number| if number % 10 == 0 { Then::EndAfter(4) } else { Then::End(0) };
    let inner: Vec<_> = names.iter().enumerate().map(|(number, name)| (name.clone(), then(number))).collect();
    start_many(&node, &share, &inner, &[]);
    let stopped = stop(&node);
    let record = node.last_record();
    eprintln!("{} at once: {:?}, status {}; {}", names.len(), stopped.took, stopped.status, stages(&record));
    assert_asked(&share, &strs(&names), &stopped);
    promise("docker stop", stopped.took, Duration::from_secs(10));
    let outcomes = outcomes(&record);
    assert_eq!(outcomes.len(), names.len());
    assert!(outcomes.values().all(|end| end == "graceful"), "{outcomes:?}");
    // What the engine had no time for is no success.
    let cut = recorded_ends(&node).values().filter(|end| *end != "0").count();
    let expected = if cut == 0 { 0 } else { 125 };
    assert_eq!(record["error"] == Value::Null, cut == 0, "{record}");
    assert_eq!(stopped.status, expected, "the ends of {cut} are not recorded");
}
