//! The table of `status`, of records that were made up.

use super::*;
use crate::status::record::ReclaimRecord;
use dind_contract::fault::ErrorObject;
use serde_json::json;

fn document(result: Value) -> dind_contract::Report<Value> {
    dind_contract::Draft { result, ..Default::default() }.report(crate::TOOL, "apply")
}

fn record() -> Record {
    let stage = |name: &str, start_ms, end_ms| StageRecord { name: name.to_owned(), start_ms, end_ms };
    Record {
        state: NodeState::Running,
        started_unix_ms: 1_000_000,
        pid: 1,
        engine_pid: Some(37),
        containerd_pid: Some(31),
        main_pid: Some(120),
        command: vec!["sleep".to_owned(), "1 h".to_owned()],
        socket: "/var/run/docker.sock".into(),
        engine_version: Some("26.1.5".to_owned()),
        stages: vec![
            stage("check", 0, Some(90)),
            stage("engine", 90, Some(1204)),
            stage("stop-main", 9000, None),
        ],
        documents: [
            (
                "net".to_owned(),
                document(json!({
                    "mode": "bridged",
                    "bridge": {"name": "docker0", "address": "10.77.0.2/16", "mtu": 1500},
                    "range": "10.77.1.0/24",
                    "resolvers": ["127.0.0.11"],
                    "iptables": {"backend": "nft"},
                })),
            ),
            (
                "storage".to_owned(),
                document(json!({
                    "driver": "overlay2",
                    "data_root": "/var/lib/docker",
                    "filesystem": "ext4",
                    "space": {"total_bytes": 80_u64 << 30, "used_bytes": 12_u64 << 30},
                })),
            ),
        ]
        .into(),
        ..Record::default()
    }
}

fn text(record: &Record, warnings: &[Warning]) -> String {
    let containers = Some(Counts { running: 2, all: 3 });
    lines(record, warnings, containers, 1_192_000, &Screen::plain(80)).join("\n")
}

#[test]
fn a_node_in_a_screenful() {
    let warning = Warning::new("space-low", "the disk is nearly full", "remove images");
    assert_eq!(
        text(&record(), &[warning]),
        "\
node        running, started 3m 12s ago, pid 1
main        sleep '1 h' (pid 120)
engine      Docker Engine 26.1.5 (pid 37) on /var/run/docker.sock, containerd
            (pid 31)
containers  2 running, 3 in all
network     bridged mode, docker0 10.77.0.2/16, inner containers in
            10.77.1.0/24, MTU 1500, name servers 127.0.0.11, firewall nft
storage     overlay2 on ext4 at /var/lib/docker, 12.0 GiB of 80.0 GiB in use
            (15%)
warning     the disk is nearly full
  hint      remove images
start       1204 ms: check 90 ms, engine 1114 ms
since       stop-main under way"
    );
}

#[test]
fn a_node_that_failed_says_why_and_one_that_waits_how_it_is_claimed() {
    let error = ErrorObject {
        message: "engine failed: it exited".to_owned(),
        causes: vec!["its log".to_owned()],
        hint: "look there".to_owned(),
        ..ErrorObject::default()
    };
    let failed = Record {
        state: NodeState::Failed,
        error: Some(error),
        exit_status: Some(125),
        main_pid: None,
        ..record()
    };
    let shown = text(&failed, &[]);
    let expected = "\
node        failed with exit status 125; it was started 3m 12s ago
error       engine failed: it exited
  cause     its log
  hint      look there
main        sleep '1 h' (does not run)
";
    assert!(shown.starts_with(expected), "{shown}");
    let waiting = Record { hold: Some(Hold::Waiting), main_pid: None, command: Vec::new(), ..record() };
    assert!(text(&waiting, &[]).contains("dind-launch claim -- COMMAND"));
    let service = Record { main_pid: None, command: Vec::new(), ..record() };
    assert!(text(&service, &[]).contains("none: the engine is the service"));
}

#[test]
fn what_is_not_known_is_left_out() {
    let external = Record { state: NodeState::External, ..Record::default() };
    let shown = lines(&external, &[], None, 0, &Screen::plain(80)).join("\n");
    assert!(!shown.contains("network") && !shown.contains("containers  "), "{shown}");
    let reclaimed =
        ReclaimRecord { above_percent: 85, images: 3, freed_bytes: 3 << 30, ..Default::default() };
    let shown = text(&Record { reclaim: Some(reclaimed), ..record() }, &[]);
    assert!(shown.contains("above 85%: 3 images went, 3.0 GiB are free again"), "{shown}");
}
