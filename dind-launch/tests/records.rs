//! Captured records of launchers, and how they are shown: `tests/records/NAME/{record.json, start.svg, metrics.txt}`.
//! `DIND_UPDATE=1` rewrites what is expected.

#![allow(clippy::unwrap_used)]

use dind_launch::status::metrics::{Observed, render};
use dind_launch::status::record::Record;
use dind_launch::status::svg::{Place, draw};
use dind_launch::usage::disk::Disk;
use dind_launch::usage::engine::Listed;
use dind_launch::usage::node::NodeUsage;
use roxmltree::Document;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Calls a check for each record.
fn each(check: impl Fn(&Path, &Record)) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records");
    let mut checked = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(path.join("record.json")).unwrap();
        check(&path, &serde_json::from_str(&text).unwrap());
        checked += 1;
    }
    assert!(checked >= 5, "{checked} records");
}

fn compare(file: &Path, shown: &str) {
    if std::env::var_os("DIND_UPDATE").is_some() {
        fs::write(file, shown).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap();
    assert!(shown == expected, "{} differs from\n{shown}", file.display());
}

#[test]
fn every_record_has_its_picture() {
    each(|path, record| {
        let picture = draw(record, Place { node: "node<1>", version: "0.1.0" });
        let document = Document::parse(&picture).unwrap();
        let texts: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text())
            .collect();
        assert_eq!(texts[0], "Start of node<1>", "{}", path.display());
        for stage in record.stages.iter().take_while(|stage| !stage.name.starts_with("stop-")) {
            let shown = stage.name.starts_with("restart-") || texts.contains(&stage.name.as_str());
            assert!(shown, "{} of {} in {texts:?}", stage.name, path.display());
        }
        compare(&path.join("start.svg"), &picture);
    });
}

#[test]
fn every_record_has_its_figures() {
    each(|path, record| {
        let containers = ["running", "running", "exited"]
            .map(|state| Listed { state: state.to_owned(), ..Listed::default() });
        let ended = record.state.has_ended();
        let observed = Observed {
            node: "node \"1\"\\\n".to_owned(),
            daemons: [!ended, !ended],
            containers: (!ended).then(|| containers.to_vec()),
            disk: Some(Disk {
                size_bytes: 20 << 30,
                used_bytes: 3 << 30,
                available_bytes: 16 << 30,
                inodes: 1 << 20,
                inodes_used: 7,
            }),
            image_allocated: Some(1 << 30),
            usage: NodeUsage {
                cpu: Some(Duration::from_millis(1234)),
                memory_bytes: Some(100 << 20),
                pids: Some(42),
                cpu_millis: Some(1500),
                memory_limit_bytes: Some(4 << 30),
                pids_limit: None,
            },
        };
        compare(&path.join("metrics.txt"), &render(record, &observed, "0.1.0"));
    });
}
