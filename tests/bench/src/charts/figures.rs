//! What was measured, as it is kept beside the charts: they are drawn from it alone.

use dind_lab::Result;
use dind_lab::progress;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A chart's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures<T> {
    /// When and where.
    pub(super) about: About,
    /// What.
    pub(super) figures: T,
}

/// When and where it was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct About {
    /// The day, in UTC.
    pub(super) date: String,
    /// The make of the processors, and how many there are.
    pub(super) processor: String,
    pub(super) processors: usize,
    /// GiB of memory.
    pub(super) memory_gib: u64,
    /// The kernel's release.
    pub(super) kernel: String,
    /// Of cgroups.
    pub(super) cgroup: u32,
    /// Version of the engines that were measured.
    pub(super) engine: String,
    /// Version of dind.
    pub(super) dind: String,
    /// How often.
    pub(super) rounds: usize,
    /// The load average of the last minute when it began: what else the machine had to do.
    pub(super) load: f64,
}

/// How long starts take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) runs: Vec<Run>,
}

/// The start of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) took_ms: f64,
    pub(super) steps: Vec<Step>,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) from_ms: f64,
    pub(super) to_ms: f64,
}

/// How long stops take, by the number of inner containers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stop {
    pub(super) counts: Vec<usize>,
    pub(super) bare_ms: Vec<f64>,
    pub(super) node_ms: Vec<f64>,
}

/// How long it takes until images are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seed {
    pub(super) images: usize,
    pub(super) empty_ms: f64,
    pub(super) seeded_ms: f64,
    pub(super) again_ms: f64,
    pub(super) load_ms: f64,
}

impl About {
    /// Here and now.
    pub(super) fn here(engine: String, rounds: usize) -> Result<Self> {
        let first = |file: &str, name: &str| -> Option<String> {
            let text = fs::read_to_string(file).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = first("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        let day = Command::new("date").args(["--utc", "+%F"]).output()?;
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            date: String::from_utf8(day.stdout)?.trim().to_owned(),
            processor: first("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            processors: std::thread::available_parallelism()?.get(),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            cgroup: if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { 2 } else { 1 },
            engine,
            dind: env!("CARGO_PKG_VERSION").to_owned(),
            rounds,
            load: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        })
    }
}

/// Reads them.
pub(super) fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<Figures<T>> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// Keeps them.
pub(super) fn write<T: Serialize>(file: &Path, figures: &Figures<T>) -> Result<()> {
    progress::note(&format!("{}", file.display()));
    Ok(fs::write(file, serde_json::to_string_pretty(figures)? + "\n")?)
}
