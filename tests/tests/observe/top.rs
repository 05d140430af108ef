//! `dind-launch top`.

use super::terminal::{LEFT, ended, in_node};
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, SLEEP, docker, host};
use dind_tests::reduced::{RunFlags, start};
use dind_tests::terminal::OnTerminal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;

/// A node with limits, one container that works, and one that has written three megabytes and does nothing.
fn node() -> Node {
    let node = Node::start(&["--cpus", "1.5", "--memory", "1g", "--pids-limit", "2000"], SLEEP);
    node.until_running();
    node.inner_run(
        &["--name", "idle", "--memory", "64m"],
        "head -c 3000000 /dev/zero >/file; exec sleep 1000",
    );
    node.inner_run(&["--name", "busy"], "while :; do :; done");
    node.inner_run(&["--name", "gone"], "exit 0");
    eventually("one has ended", LIMIT, || {
        (node.inner(&["inspect", "--format", "{{.State.Running}}", "gone"]) == "false").then_some(())
    });
    node
}

#[test]
fn in_a_pipe_it_is_one_table_or_one_document() {
    let node = node();
    let text = node.exec(&["dind-launch", "top", "--output", "json"]).ok();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["schema"], &document["mode"]), (&"dind.launch/v1".into(), &"top".into()), "{text}");
    let (node_use, containers) =
        (&document["result"]["node"], document["result"]["containers"].as_array().unwrap());
    let names: Vec<_> = containers.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["busy", "idle"], "{text}");
    let [busy, idle] = [&containers[0], &containers[1]];
    assert!(busy["cpus"].as_f64().unwrap() > 10.0 * idle["cpus"].as_f64().unwrap(), "{text}");
    assert!((3_000_000..4_000_000).contains(&idle["disk_bytes"].as_u64().unwrap()), "{text}");
    assert_eq!(idle["memory_limit_bytes"], 64 << 20, "{text}");
    assert_eq!(busy["memory_limit_bytes"], 1 << 30, "the node's: {text}");
    assert!(idle["memory_bytes"].as_u64().unwrap() < 64 << 20 && idle["pids"] == 1, "{text}");
    assert_eq!(
        (&node_use["cpus_limit"], &node_use["memory_limit_bytes"]),
        (&1.5.into(), &(1 << 30).into()),
        "{text}"
    );
    assert_eq!(node_use["pids_limit"], 2000, "{text}");
    let used = |key: &str| node_use[key].as_f64().unwrap();
    assert!(used("cpus") >= busy["cpus"].as_f64().unwrap() * 0.5 && used("cpus") < 1.8, "{text}");
    // The engine itself is among it.
    assert!(
        used("memory_bytes") > 20e6 && used("memory_bytes") < f64::from(1 << 30) && used("pids") > 10.0,
        "{text}"
    );
    assert!(node_use["disk"]["size_bytes"].as_u64() > node_use["disk"]["used_bytes"].as_u64(), "{text}");

    let table = node.exec(&["dind-launch", "top"]).ok();
    assert!(!table.contains('\u{1b}'), "{table:?}");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].contains("running, engine "), "{table}");
    assert!(lines[1].starts_with("cpu ") && lines[1].contains(" of 1.50 "), "{table}");
    assert!(lines[2].starts_with("memory ") && lines[2].contains(" of 1.0 GiB "), "{table}");
    let title = lines.iter().position(|line| line.starts_with("NAME ")).unwrap();
    assert!(lines[title + 1].starts_with("busy ") && lines[title + 2].starts_with("idle "), "{table}");
    assert!(lines[title + 2].contains(" 64.0 MiB "), "{table}");
    assert_eq!(lines.len(), title + 3, "{table}");
    // A variable that is meant for other verbs changes nothing.
    let flags = docker(&["exec", "--env", "DIND_OUTPUT=flags", &node.name, "dind-launch", "top"]).ok();
    assert!(flags.contains("\nNAME "), "{flags}");
}

#[test]
fn a_screen_is_drawn_again_and_again_follows_its_size_and_is_given_back() {
    let node = node();
    let mut terminal = in_node(&node, &["dind-launch", "top", "--interval", "300ms"]);
    let drawn = |text: &str| text.contains("busy ") && text.contains("idle ") && text.ends_with("\x1b[J");
    let first = terminal.until_next("the first table", drawn);
    assert!(first.contains("\x1b[?1049h") && !terminal.is_a_shell_s());
    let widest = |text: &str| {
        let table = text.rsplit("\x1b[H").next().unwrap().replace("\x1b[K", "").replace("\x1b[J", "");
        // The terminal has added a carriage return of its own.
        table.lines().map(|line| line.trim_end_matches('\r').chars().count()).max().unwrap_or(0)
    };
    assert!(widest(&first) > 60, "{first:?}");
    terminal.until_next("the next table", drawn);
    terminal.resize(50, 8);
    let small = terminal.until_next("a smaller table", |text| widest(text) <= 50 && text.ends_with("\x1b[J"));
    let lines = small.rsplit("\x1b[H").next().unwrap().lines().count();
    assert!(lines <= 8 && small.contains("… 2 more"), "{small:?}");
    terminal.type_in(b"xyz");
    terminal.until_next("other keys do nothing", drawn_small);
    terminal.type_in(b"q");
    assert_eq!(ended(terminal), Some(0));

    // Ctrl-C, and signals.
    let mut terminal = in_node(&node, &["dind-launch", "top"]);
    terminal.until_next("a table", drawn);
    terminal.type_in(b"\x03");
    // It has ended the nsenter in front of it as well, and sooner.
    terminal.until_next("the screen is given back", |text| text.contains(LEFT));
    ended(terminal);
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut terminal = in_node(&node, &["dind-launch", "top"]);
        terminal.until_next("a table", drawn);
        kill(Pid::from_raw(top_of(&terminal)), signal).unwrap();
        assert_eq!(ended(terminal), Some(status));
    }
}

fn drawn_small(text: &str) -> bool {
    text.contains("… 2 more") && text.ends_with("\x1b[J")
}

/// The last descendant of the program on the terminal: `nsenter` starts another one in each PID namespace.
fn top_of(terminal: &OnTerminal) -> i32 {
    let mut pid = i32::try_from(terminal.pid()).unwrap();
    loop {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        match children.split_whitespace().next() {
            Some(child) => pid = child.parse().unwrap(),
            None => return pid,
        }
    }
}

#[test]
fn a_shell_stops_it_and_it_goes_on() {
    let node = node();
    let mut terminal = in_node(&node, &["bash", "--norc", "-i"]);
    terminal.type_in(b"dind-launch top\n");
    let drawn = |text: &str| text.contains("busy ") && text.ends_with("\x1b[J");
    terminal.until_next("a table", drawn);
    terminal.type_in(b"\x1a");
    let stopped = terminal.until_next("it is stopped", |text| text.contains("Stopped"));
    assert!(stopped.contains(LEFT), "{stopped:?}");
    terminal.type_in(b"fg\n");
    let again = terminal.until_next("a table again", drawn);
    assert!(again.contains("\x1b[?1049h"), "{again:?}");
    terminal.type_in(b"q");
    terminal.until_next("it ends", |text| text.contains(LEFT));
    terminal.type_in(b"echo status=$?\n");
    terminal.until_next("the shell has the terminal", |text| text.contains("status=0"));
    terminal.type_in(b"dind-launch top\n");
    terminal.until_next("a table", drawn);
    terminal.type_in(b"\x03");
    terminal.until_next("Ctrl-C ends it", |text| text.contains(LEFT));
    terminal.type_in(b"echo again=$?\n");
    terminal.until_next("people end it so", |text| text.contains("again=0"));
}

/// By `docker exec --tty` into a node that made its own user namespace: the verb goes in first, and Ctrl-C has time to give the screen back.
#[test]
fn a_node_in_a_user_namespace_of_its_own_has_it_as_well() {
    let node = start(&RunFlags::ask().of("rootless"), &[]);
    node.until_running();
    let host = format!("DOCKER_HOST={}", host());
    let exec = ["env", &host, "docker", "exec", "--interactive", "--tty", &node.name, "dind-launch", "top"];
    let mut terminal = OnTerminal::start_sized(&exec, 100, 24);
    let first = terminal.until_next("a table", |text| text.contains("NAME ") && text.contains("memory "));
    assert!(first.contains("\x1b[?1049h"), "{first:?}");
    terminal.type_in(b"\x03");
    let last = terminal.until_next("the screen is given back", |text| text.contains(LEFT));
    assert!(!last.contains("the engine does not answer"), "{last:?}");
}

#[test]
fn without_an_engine_there_is_an_error_and_no_table() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    node.exec(&["sh", "-c", "kill -STOP $(cat /var/run/docker.pid)"]).ok();
    let ended = node.exec(&["dind-launch", "top", "--output", "json"]);
    node.exec(&["sh", "-c", "kill -CONT $(cat /var/run/docker.pid)"]).ok();
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.status, &document["error"]["code"]), (69, &"not-healthy".into()), "{ended:?}");
}
