//! A container in evidence.

use super::*;
use serde_json::{from_value, json};
use std::fs;

fn known() -> (tempfile::TempDir, Known) {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::of_node(directory.path(), "node", 1 << 20, false).unwrap();
    let known = Known::new(&place, "0123456789abcdef", "web", 1 << 20).unwrap();
    (directory, known)
}

fn read(known: &Known, name: &str) -> String {
    fs::read_to_string(known.place.path.join(name)).unwrap()
}

#[test]
fn what_the_api_has_given_does_not_come_again_from_the_file() {
    let (directory, mut known) = known();
    let file = directory.path().join("log.json");
    let line = |time: &str, text: &str| {
        json!({"log": format!("{text}\n"), "stream": "stdout", "time": time}).to_string() + "\n"
    };
    let first = line("2026-11-30T10:00:00.5Z", "one") + &line("2026-11-30T10:00:00.50000001Z", "two");
    fs::write(&file, &first).unwrap();
    known.log_path = Some(file.clone());
    known.logged(b"2026-11-30T10:00:00.500000000Z one\n");
    known.keep_log_file();
    fs::write(&file, first + &line("2026-11-30T10:00:01Z", "three")).unwrap();
    fs::remove_file(&file).unwrap();
    // A container that is started again has the log of before, too.
    known.resume();
    known.logged(b"2026-11-30T10:00:00.500000000Z one\n2026-11-30T10:00:02.000000000Z four\n");
    known.last = known.resumed.clone();
    known.read_log_file();
    let lines: Vec<_> =
        read(&known, "log").lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(lines, ["one", "four", "two", "three"]);
    // Nor does what has come from the file come again, from the file or the API.
    fs::write(&file, line("2026-11-30T10:00:01Z", "three") + &line("2026-11-30T10:00:05Z", "five")).unwrap();
    known.read_log_file();
    assert!(read(&known, "log").ends_with("three\n2026-11-30T10:00:05Z five\n"), "{}", read(&known, "log"));
}

#[test]
fn an_event_is_all_that_there_is_of_a_container_that_is_removed() {
    let (_directory, mut known) = known();
    let event = |action: &str, attributes: Value| {
        from_value::<EventMessage>(json!({"Action": action, "Actor": {"ID": "x", "Attributes": attributes}}))
            .unwrap()
    };
    known.event(&event("oom", json!({})));
    known.event(&event("die", json!({"exitCode": "3", "image": "busybox"})));
    known.save();
    let state: Value = serde_json::from_str(&read(&known, "state.json")).unwrap();
    assert_eq!(
        (&state["exit_code"], &state["oom_killed"], &state["image"]),
        (&json!(3), &json!(true), &json!("busybox"))
    );
    known.event(&event("destroy", json!({})));
    known.save();
    let state: Value = serde_json::from_str(&read(&known, "state.json")).unwrap();
    assert_eq!((&state["exit_code"], &state["status"]), (&json!(3), &json!("removed")));
}

#[test]
fn the_engine_s_own_record_is_the_last_word() {
    let (directory, mut known) = known();
    let data = directory.path().join("containers/0123456789abcdef");
    fs::create_dir_all(&data).unwrap();
    let record = json!({"State": {"Running": false, "ExitCode": 143, "OOMKilled": false, "StartedAt": "2026-11-30T10:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"}});
    fs::write(data.join("config.v2.json"), record.to_string()).unwrap();
    known.recorded(directory.path());
    assert_eq!((known.state.exit_code, known.state.finished_at.as_deref()), (Some(143), None));
    fs::remove_dir_all(&data).unwrap();
    known.running = true;
    known.recorded(directory.path());
    assert_eq!(known.state.status, "removed");
}
