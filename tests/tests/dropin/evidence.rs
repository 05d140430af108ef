//! `DIND_EVIDENCE`: what is left when the node is gone.

use dind_tests::outer::{LIMIT, Node, SLEEP, docker, inner_image};
use dind_tests::{eventually, scratch_on_disk};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn node(options: &[&str]) -> (TempDir, Node) {
    let directory = scratch_on_disk();
    let volume = format!("{}:/evidence", directory.path().display());
    let own = ["--volume", &volume, "--env", "DIND_EVIDENCE=/evidence"];
    let node = Node::start(&[&own[..], options].concat(), SLEEP);
    node.until_running();
    (directory, node)
}

/// The directory of the only run.
fn run_in(directory: &TempDir) -> PathBuf {
    let runs: Vec<_> = fs::read_dir(directory.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

/// The directory of a container, by its name.
fn of(run: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(run.join("containers")).ok()?.flatten();
    let is_its =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().rsplit_once('-').unwrap().0 == name;
    entries.map(|entry| entry.path()).find(is_its)
}

fn state(run: &Path, name: &str) -> Value {
    let path = of(run, name).unwrap_or_else(|| panic!("{name} is missing")).join("state.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A container's log without the times.
fn log(run: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(of(run, name)?.join("log")).ok()?;
    Some(text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned() + "\n").collect())
}

#[test]
fn logs_and_ends_of_all_containers_are_there_when_the_node_is_gone() {
    let (directory, node) = node(&[]);
    node.inner(&["run", "--name", "failed", &inner_image(), "sh", "-c", "echo out; echo err >&2"]);
    let ended = node.inner_docker(&[
        "run",
        "--rm",
        "--name",
        "removed",
        &inner_image(),
        "sh",
        "-c",
        "echo gone; exit 4",
    ]);
    assert_eq!(ended.status, 4);
    let (traps_begin, traps_end) =
        ("trap 'echo asked; exit 5' TERM;", "echo up; while :; do sleep 0.05; done");
    let traps = &format!("{traps_begin} {traps_end}");
    node.inner_run(&["--name", "asked"], traps);
    node.inner_run(&["--name", "asked-rm", "--rm"], traps);
    for name in ["asked", "asked-rm"] {
        eventually("its trap is set", LIMIT, || (node.inner(&["logs", name]) == "up").then_some(()));
    }
    // A process in it is killed, and the container goes on: the engine reports that for sure only of a container that lives.
    let greedy = format!("{traps_begin} tail /dev/zero; {traps_end}");
    node.inner_run(&["--name", "oom", "--memory", "8m"], &greedy);
    let run = run_in(&directory);
    eventually("the kernel's kill is known", LIMIT, || {
        (of(&run, "oom").is_some() && state(&run, "oom")["oom_killed"] == true).then_some(())
    });
    let (status, took) = node.stop();
    assert_eq!(status, 143, "{}", node.log());
    dind_tests::promise("the stop", took, std::time::Duration::from_secs(10));

    let mut lines: Vec<_> = log(&run, "failed").unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
    assert_eq!(
        (state(&run, "failed")["exit_code"].as_i64(), log(&run, "removed").as_deref()),
        (Some(0), Some("gone\n"))
    );
    assert_eq!(
        (state(&run, "removed")["exit_code"].as_i64(), state(&run, "removed")["status"].as_str()),
        (Some(4), Some("removed"))
    );
    // What they print when they are asked to stop, they print to an engine that nobody may ask any more.
    for name in ["asked", "asked-rm"] {
        assert_eq!(log(&run, name).as_deref(), Some("up\nasked\n"), "{name}");
    }
    assert_eq!(state(&run, "asked")["exit_code"], 5);
    let oom = state(&run, "oom");
    assert_eq!((&oom["oom_killed"], &oom["exit_code"]), (&true.into(), &5.into()), "{oom}");

    let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
    assert!(events.contains(r#""action":"oom""#) && events.contains(r#""action":"die""#), "{events}");
    let engine_log = fs::read_to_string(run.join("engine.log")).unwrap();
    assert!(engine_log.contains("API listen on /var/run/docker.sock"), "{engine_log}");
    let record: Value = serde_json::from_str(&fs::read_to_string(run.join("record.json")).unwrap()).unwrap();
    assert_eq!((&record["state"], &record["exit_status"]), (&"stopped".into(), &143.into()));
    let last = record["stages"].as_array().unwrap().last().unwrap()["name"].clone();
    assert_eq!(last, "release-storage", "{record}");
    let result = &record["documents"]["evidence"]["result"];
    assert_eq!((&result["containers"], &result["cut_bytes"]), (&5.into(), &0.into()), "{result}");
}

#[test]
fn a_kill_loses_the_last_moment_and_no_more() {
    let (directory, node) = node(&[]);
    node.inner(&["run", "--name", "before", &inner_image(), "echo", "hello"]);
    node.inner_run(&["--name", "running"], "echo first; sleep 600");
    let run = run_in(&directory);
    eventually("its line has come", LIMIT, || (log(&run, "running")? == "first\n").then_some(()));
    docker(&["kill", &node.name]).ok();
    assert_eq!(state(&run, "before")["exit_code"], 0);
    assert_eq!(log(&run, "before").as_deref(), Some("hello\n"));
    assert_eq!(state(&run, "running")["status"], "running");
    assert!(run.join("record.json").exists() && run.join("engine.log").exists());
}

#[test]
fn a_container_that_is_started_again_has_each_line_once() {
    let (directory, node) = node(&[]);
    node.inner(&["run", "--name", "again", &inner_image(), "sh", "-c", "echo line"]);
    for _ in 0..3 {
        node.inner(&["start", "--attach", "again"]);
    }
    assert_eq!(node.stop().0, 143, "{}", node.log());
    assert_eq!(log(&run_in(&directory), "again").as_deref(), Some("line\nline\nline\nline\n"));
}

#[test]
fn the_size_is_kept_and_what_is_left_out_is_said() {
    let (directory, node) = node(&["--env", "DIND_EVIDENCE_SIZE=1MiB"]);
    let much = "i=0; while [ $i -lt 4000 ]; do echo $i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done";
    node.inner(&["run", "--name", "much", &inner_image(), "sh", "-c", much]);
    assert_eq!(node.stop().0, 143, "{}", node.log());
    let run = run_in(&directory);
    let text = fs::read_to_string(of(&run, "much").unwrap().join("log")).unwrap();
    assert!(text.lines().last().unwrap().contains(" 3999 "), "the end counts most");
    let bytes = |path: &Path| -> u64 {
        fs::read_dir(path).unwrap().flatten().map(|entry| entry.metadata().unwrap().len()).sum()
    };
    assert!(bytes(&of(&run, "much").unwrap()) < 128 << 10);
    assert!(state(&run, "much")["log_cut_bytes"].as_u64().unwrap() > 0);
    let warnings = node.last_record()["warnings"].to_string();
    assert!(warnings.contains("evidence-cut") && warnings.contains("DIND_EVIDENCE_SIZE"), "{warnings}");
}

#[test]
fn a_full_directory_breaks_nothing() {
    let node = Node::start(&["--tmpfs", "/evidence:size=64k", "--env", "DIND_EVIDENCE=/evidence"], SLEEP);
    node.until_running();
    let much = "i=0; while [ $i -lt 4000 ]; do echo $i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done";
    node.inner(&["run", "--name", "much", &inner_image(), "sh", "-c", much]);
    let (status, took) = node.stop();
    assert_eq!(status, 143, "{}", node.log());
    dind_tests::promise("the stop", took, std::time::Duration::from_secs(10));
    let warnings = node.last_record()["warnings"].to_string();
    assert!(warnings.contains("No space left on device"), "{warnings}");
}

#[test]
fn a_shell_entrypoint_has_evidence_by_one_line_more() {
    let script = dind_tests::outer::readme_entrypoint();
    let line = "dockerd $storage $net &";
    assert!(script.contains(line), "{script}");
    let lines = "mkfifo /run/engine.log\ndind-reaper evidence </run/engine.log >/run/evidence.json &\n\
                 dockerd $storage $net >/run/engine.log 2>&1 &";
    let with = script.replace(line, lines);
    let shell = dind_tests::outer::ShellImage::build(&with);
    let directory = scratch_on_disk();
    let volume = format!("{}:/evidence", directory.path().display());
    let options = ["--privileged", "--volume", &volume, "--env", "DIND_EVIDENCE=/evidence"];
    let node = Node::of_image(&shell.name, &options, SLEEP);
    assert_eq!(node.exec(&["dind-launch", "wait"]).status, 0);
    assert_eq!(node.exec(&["dind-launch", "preload", "/preload"]).status, 0);
    node.inner_run(
        &["--name", "asked"],
        "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.05; done",
    );
    eventually("its trap is set", LIMIT, || (node.inner(&["logs", "asked"]) == "up").then_some(()));
    assert_eq!(node.stop().0, 143, "{}", node.log());
    let run = run_in(&directory);
    assert_eq!(log(&run, "asked").as_deref(), Some("up\nasked\n"));
    assert_eq!(state(&run, "asked")["exit_code"], 5);
}
