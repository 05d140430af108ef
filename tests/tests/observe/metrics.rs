//! `dind-launch status --output openmetrics`, as Prometheus' own client library reads it.

use dind_tests::outer::{LOOP, Node, SLEEP, docker, host};
use dind_tests::{eventually, outer::LIMIT, scratch};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

/// Reads an exposition strictly, and prints each sample and each family's kind and unit.
const PARSER: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
families = list(parse(sys.stdin.read()))
samples = {s.name + json.dumps(s.labels, sort_keys=True): s.value for f in families for s in f.samples}
kinds = {f.name: [f.type, f.unit, f.documentation] for f in families}
json.dump({"samples": samples, "kinds": kinds}, sys.stdout)
"#;

/// What the parser has read: the value of each sample by its name and labels, and the kind, unit and help of each family.
struct Read {
    samples: BTreeMap<String, f64>,
    kinds: BTreeMap<String, [String; 3]>,
}

impl Read {
    fn from(text: &str) -> Self {
        let mut parser = Command::new("/usr/bin/python3");
        parser.args(["-c", PARSER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut parser = parser.spawn().unwrap();
        parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = parser.wait_with_output().unwrap();
        assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
        let mut read: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut take = |key: &str| read[key].take();
        Self {
            samples: serde_json::from_value(take("samples")).unwrap(),
            kinds: serde_json::from_value(take("kinds")).unwrap(),
        }
    }

    fn of(node: &Node) -> Self {
        let ended = node.exec(&["dind-launch", "status", "--output", "openmetrics"]);
        assert_eq!(ended.status, 0, "{ended:?}");
        Self::from(&(ended.stdout + "\n"))
    }

    fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let labels = labels.iter().map(|(key, value)| format!("\"{key}\": \"{value}\"")).collect::<Vec<_>>();
        let key = format!("{name}{{{}}}", labels.join(", "));
        *self.samples.get(&key).unwrap_or_else(|| panic!("no {key} in {:#?}", self.samples))
    }
}

#[test]
fn a_parser_of_somebody_else_s_reads_what_the_node_is_and_does() {
    let limits = ["--cpus", "1.5", "--memory", "1g", "--hostname", "metered"];
    let node = Node::start(&[&LOOP[..], &limits].concat(), SLEEP);
    node.until_running();
    node.inner_run(&["--name", "runs"], "exec sleep 1000");
    node.inner_run(&["--name", "ended"], "exit 3");
    node.inner(&["pause", "runs"]);
    node.inner_run(&[], "exec sleep 1000");
    eventually("one has ended", LIMIT, || {
        (node.inner(&["inspect", "--format", "{{.State.Running}}", "ended"]) == "false").then_some(())
    });
    let read = Read::of(&node);
    // With version 1 of control groups nothing ends a frozen process, not even the kill that removes the node.
    node.inner(&["unpause", "runs"]);
    for (state, count) in [("running", 1.0), ("paused", 1.0), ("exited", 1.0), ("dead", 0.0)] {
        assert_eq!(read.get("dind_containers", &[("state", state)]), count, "{state}");
    }
    assert_eq!(read.get("dind_node_state", &[("state", "running")]), 1.0);
    assert_eq!(read.get("dind_node_state", &[("state", "stopping")]), 0.0);
    for daemon in ["dockerd", "containerd"] {
        assert_eq!(read.get("dind_daemon_up", &[("daemon", daemon)]), 1.0);
    }
    let record = node.record();
    assert_eq!(read.get("dind_engine_restarts_total", &[]), 0.0);
    assert_eq!(read.get("dind_node_cpus", &[]), 1.5);
    assert_eq!(read.get("dind_node_memory_limit_bytes", &[]), f64::from(1 << 30));
    assert!(read.get("dind_node_cpu_seconds_total", &[]) > 0.0);
    let started = record["started_unix_ms"].as_f64().unwrap() / 1000.0;
    assert_eq!(read.get("dind_node_start_time_seconds", &[]), started);
    let image = record["documents"]["storage"]["result"]["image"]["size_bytes"].as_f64().unwrap();
    assert_eq!(read.get("dind_loop_image_size_bytes", &[]), image);
    assert!(read.get("dind_loop_image_allocated_bytes", &[]) > 0.0);
    let size = read.get("dind_data_root_size_bytes", &[]);
    assert!(size > 0.5 * image && size <= image && read.get("dind_data_root_used_bytes", &[]) < size);
    assert!(read.get("dind_data_root_inodes", &[]) > read.get("dind_data_root_inodes_used", &[]));
    for stage in record["stages"].as_array().unwrap() {
        let took = stage["end_ms"].as_f64().unwrap() - stage["start_ms"].as_f64().unwrap();
        let name = stage["name"].as_str().unwrap();
        assert_eq!(read.get("dind_stage_duration_seconds", &[("stage", name)]), took / 1000.0);
    }
    let info = read.samples.keys().find(|key| key.starts_with("dind_node_info{")).unwrap();
    assert!(info.contains("\"node\": \"metered\"") && info.contains("\"backing\": \"loop\""), "{info}");
    for (family, [kind, unit, help]) in &read.kinds {
        assert!(family.starts_with("dind_") && !help.is_empty(), "{family}");
        // The textfile collector knows no others.
        assert!(["gauge", "counter"].contains(&kind.as_str()), "{family} is a {kind}");
        for of in ["bytes", "seconds"] {
            assert_eq!(family.ends_with(&format!("_{of}")), unit == of, "{family} has the unit `{unit}`");
        }
    }
}

#[test]
fn an_engine_that_hangs_is_down_and_the_rest_is_there() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    node.exec(&["sh", "-c", "kill -STOP $(cat /var/run/docker.pid)"]).ok();
    let read = Read::of(&node);
    node.exec(&["sh", "-c", "kill -CONT $(cat /var/run/docker.pid)"]).ok();
    assert_eq!(read.get("dind_daemon_up", &[("daemon", "dockerd")]), 0.0);
    assert_eq!(read.get("dind_daemon_up", &[("daemon", "containerd")]), 1.0);
    assert!(!read.samples.keys().any(|key| key.starts_with("dind_containers{")), "{:#?}", read.samples);
    assert!(read.get("dind_data_root_size_bytes", &[]) > 0.0);
}

#[test]
fn a_file_is_replaced_and_a_reader_never_sees_a_part_of_it() {
    let directory = scratch();
    let share = format!("{}:/metrics", directory.path().display());
    let node = Node::start(&["--volume", &share], SLEEP);
    node.until_running();
    let write = ["dind-launch", "status", "--output", "openmetrics", "--to", "/metrics/node.prom"];
    assert_eq!(node.exec(&write).ok(), "");
    let file = directory.path().join("node.prom");
    Read::from(&fs::read_to_string(&file).unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    thread::scope(|scope| {
        let writing = scope.spawn(|| (0..10).for_each(|_| drop(node.exec(&write).ok())));
        let mut seen = 0;
        while !writing.is_finished() || seen == 0 {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("# TYPE ") && text.ends_with("# EOF\n"), "{text}");
            seen += 1;
        }
        writing.join().unwrap();
    });
    let names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["node.prom"], "nothing is left over");
    // What cannot be written is an error, and the old file stays.
    let refused =
        node.exec(&["dind-launch", "status", "--output", "openmetrics", "--to", "/no/such/node.prom"]);
    assert_eq!(refused.status, 73, "{refused:?}");
    assert!(refused.stderr.contains("cannot write `/no/such/node.prom`: "), "{refused:?}");
    let ignored = node.exec(&["dind-launch", "status", "--output", "json", "--to", "/metrics/node.prom"]);
    assert_eq!(ignored.status, 78, "{ignored:?}");
}

/// The lines of the README, for a socket.
#[test]
fn it_is_served_on_a_unix_socket_by_socat() {
    let directory = scratch();
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let socket = directory.path().join("node.sock");
    let _server = served(&socket, &node.name);
    eventually("socat listens", LIMIT, || socket.exists().then_some(()));
    for _ in 0..2 {
        let url = "http://localhost/metrics";
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--unix-socket"]).arg(&socket).arg(url);
        let output = curl.output().unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
        Read::from(body);
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn served(socket: &Path, node: &str) -> Server {
    let script = socket.with_extension("sh");
    let text = format!(
        "#!/bin/sh\nprintf 'HTTP/1.0 200 OK\\r\\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\\r\\n\\r\\n'\n\
         exec docker exec {node} dind-launch status --output openmetrics\n"
    );
    // Another program writes it: a descriptor of ours, open for writing, could be inherited by what another test starts just then.
    let write = "cat >\"$1\" && chmod +x \"$1\"";
    let mut cat = Command::new("sh");
    let mut cat = cat.args(["-c", write, "sh"]).arg(&script).stdin(Stdio::piped()).spawn().unwrap();
    cat.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(cat.wait().unwrap().success());
    let mut socat = Command::new("socat");
    socat.env("DOCKER_HOST", host());
    socat.arg(format!("UNIX-LISTEN:{},fork,mode=660", socket.display()));
    Server(socat.arg(format!("EXEC:{}", script.display())).spawn().unwrap())
}

#[test]
fn a_container_without_a_node_has_no_figures() {
    let ended = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "dind-launch",
        &dind_tests::outer::image(),
        "status",
        "--output",
        "openmetrics",
    ]);
    assert_eq!((ended.status, ended.stdout.as_str()), (69, ""), "{ended:?}");
    assert!(ended.stderr.contains("no dind-launch has run in this container"), "{ended:?}");
}
