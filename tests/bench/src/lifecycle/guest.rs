//! A node in a user namespace against one with `--privileged`, in the guest whose engine maps users. Both have the flags that
//! `doctor --run-flags` prints there.

use super::outer::Container;
use super::site::{DataRoot, Kind, Site};
use crate::series::Series;
use crate::table::{Row, print};
use dind_lab::product::image;
use dind_lab::{Result, progress};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// What a user namespace may cost.
const GOAL: f64 = 1.05;

/// The sets of flags, the one to compare with first.
const SETS: [&str; 2] = ["privileged", "userns"];

/// What is measured of each set, by the names of its rows.
const MEASURED: [[&str; 2]; 4] = [
    ["--privileged, PID 1 until ready", "userns, PID 1 until ready"],
    ["--privileged, docker create until ready", "userns, docker create until ready"],
    ["--privileged, docker stop", "userns, docker stop"],
    ["--privileged, docker stop, 1 inner container", "userns, docker stop, 1 inner container"],
];

/// The times of a set's nodes, in milliseconds.
#[derive(Default)]
struct Times {
    /// In the order of [`MEASURED`].
    measured: [Vec<f64>; 4],
    /// What the launcher's record has of each stage.
    stages: BTreeMap<String, Vec<f64>>,
}

/// Measures, and prints the tables.
///
/// # Errors
/// A node does not start or stop, or `doctor` does not say that this engine maps users.
pub fn run(rounds: usize) -> Result<()> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is unset"));
    let site = Site {
        host: variable("DIND_TEST_DOCKER_HOST")?,
        pid: variable("DIND_TEST_ENGINE_PID")?,
        image: image::NODE.to_owned(),
        preload: variable("DIND_TEST_PRELOAD")?.into(),
        directory: PathBuf::from("/tmp/bench"),
    };
    fs::create_dir_all(&site.directory)?;
    let flags = run_flags(&site, &PathBuf::from(variable("DIND_BIN_DIR")?).join("dind-launch"))?;
    let filled = |set: usize| -> Result<Container<'_>> {
        let label = format!("{}-filled", SETS[set]);
        let container = Container::with(&site, &label, Kind::Node, DataRoot::Volume, &words(&flags[set]))?;
        container.start()?;
        container.fill(1)?;
        container.stop()?;
        Ok(container)
    };
    let filled = [filled(0)?, filled(1)?];
    let mut times: [Times; 2] = Default::default();
    // The first round only warms up. Who begins changes from round to round.
    for round in 0..=rounds {
        progress::note(&format!("round {round} of {rounds}"));
        for set in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let mut warm = Times::default();
            let times = if round == 0 { &mut warm } else { &mut times[set] };
            once(&site, SETS[set], &flags[set], times)?;
            filled[set].start()?;
            filled[set].until_running(1)?;
            times.measured[3].push(filled[set].stop()?.as_secs_f64() * 1e3);
        }
    }
    show(&times);
    Ok(())
}

/// One life of a new node.
fn once(site: &Site, set: &str, flags: &[String], times: &mut Times) -> Result<()> {
    let began = Instant::now();
    let container = Container::with(site, set, Kind::Node, DataRoot::Volume, &words(flags))?;
    let ready = container.start()?;
    let whole = began.elapsed();
    // The engine answers before the main process begins.
    container.exec(&["dind-launch", "wait"])?;
    let stopped = container.stop()?;
    for (samples, took) in times.measured.iter_mut().zip([ready, whole, stopped]) {
        samples.push(took.as_secs_f64() * 1e3);
    }
    let record: Value = serde_json::from_str(&container.last_record()?)?;
    for stage in record["stages"].as_array().ok_or("the record has no stages")? {
        let (Some(name), Some(start), Some(end)) =
            (stage["name"].as_str(), stage["start_ms"].as_f64(), stage["end_ms"].as_f64())
        else {
            continue;
        };
        times.stages.entry(name.to_owned()).or_default().push(end - start);
    }
    Ok(())
}

/// The flags of each of the sets.
fn run_flags(site: &Site, doctor: &PathBuf) -> Result<[Vec<String>; 2]> {
    let profile = site.directory.join("seccomp.json");
    let output = Command::new(doctor)
        .env("DOCKER_HOST", &site.host)
        .args(["doctor", "--run-flags", "--seccomp"])
        .arg(&profile)
        .output()?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let result = &document["result"];
    fs::write(profile, result["seccomp_profile"].to_string())?;
    let of = |name: &str| -> Result<Vec<String>> {
        let sets = result["run_flags"].as_array().ok_or("doctor printed no sets of flags")?;
        let set = sets.iter().find(|set| set["name"] == name && set["works"] == true);
        let set = set.ok_or_else(|| format!("doctor says that the set {name} does not work here"))?;
        let flags = set["flags"].as_array().into_iter().flatten();
        Ok(flags.filter_map(|flag| flag.as_str().map(str::to_owned)).collect())
    };
    Ok([of(SETS[0])?, of(SETS[1])?])
}

fn show(times: &[Times; 2]) {
    let (mut rows, mut shortest) = (Vec::new(), Vec::new());
    for (number, names) in MEASURED.iter().enumerate() {
        let series = |set: usize| Series::new(names[set], times[set].measured[number].clone());
        let (privileged, userns) = (series(0), series(1));
        // What else a machine does lengthens some rounds, and shortens none.
        if let (Some(least), Some(base)) = (userns.sorted.first(), privileged.sorted.first()) {
            shortest.push((names[1], least / base));
        }
        rows.extend([Row::against(&privileged, &privileged), Row::within(&userns, &privileged, GOAL)]);
    }
    print("a node in a user namespace and one with --privileged, in the guest", "the row above", &rows);
    for (name, ratio) in shortest {
        println!("{name:46} {ratio:9.2} the shortest against the shortest");
    }
    println!("stages of the launcher's record, medians in ms");
    for (stage, privileged) in &times[0].stages {
        let Some(userns) = times[1].stages.get(stage) else { continue };
        let median = |samples: &Vec<f64>| Series::new("", samples.clone()).median();
        let (privileged, userns) = (median(privileged), median(userns));
        println!("{stage:46} {privileged:9.1} --privileged {userns:9.1} userns");
    }
}

fn words(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}
