//! What an apply costs, by the number of the seed's layers: the first, which brings the metadata, and each later one.

use crate::series::{Series, Task, in_turns, timed};
use crate::table::{Row, print};
use dind_lab::Result;
use dind_tests::store::DataRoot;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The engine takes no image with more layers (moby, `layer/layer.go`, `maxLayerDepth`).
const MOST_OF_AN_IMAGE: usize = 125;

/// What a layer may cost, in milliseconds.
const GOAL: f64 = 0.1;

/// Numbers of layers, with the names of what is measured with them.
const COUNTS: [(usize, [&str; 2]); 3] = [
    (10, ["10 layers, first apply", "10 layers, later apply"]),
    (100, ["100 layers, first apply", "100 layers, later apply"]),
    (500, ["500 layers, first apply", "500 layers, later apply"]),
];

/// A seed, and a data root that gets it.
struct Case {
    tool: PathBuf,
    seed: Option<PathBuf>,
    root: PathBuf,
}

impl Case {
    /// A seed with so many layers, in images of a depth that the engine takes.
    fn make(tool: &Path, directory: &Path, layers: usize) -> Result<Self> {
        let path = |what: &str| directory.join(format!("{what}-{layers}"));
        let (source, seed, root) = (path("source"), path("seed"), path("root"));
        let made = DataRoot::new(&source, "bench");
        for (image, first) in (0..layers).step_by(MOST_OF_AN_IMAGE).enumerate() {
            let mut top = None;
            for number in first..layers.min(first + MOST_OF_AN_IMAGE) {
                let fill = |files: &Path| drop(fs::write(files.join("file"), number.to_string()));
                top = Some(made.layer(top.as_ref(), &format!("layer-{number}"), fill));
            }
            made.image(&[&format!("image-{image}:1")], top.as_ref());
        }
        let mut seal = Command::new(tool);
        seal.env_clear().arg("seal").arg("--data-root").arg(&source).arg("--to").arg(&seed);
        timed(&mut seal)?;
        Ok(Self { tool: tool.to_owned(), seed: Some(seed), root })
    }

    fn run(&self, verb: &str) -> Result<Duration> {
        let mut command = Command::new(&self.tool);
        command.arg(verb).env_clear().env("DIND_DATA_ROOT", &self.root);
        if let Some(seed) = &self.seed {
            command.env("DIND_STORAGE_SEED", seed);
        }
        timed(&mut command)
    }

    fn first(&self) -> Result<Duration> {
        if self.root.exists() {
            fs::remove_dir_all(&self.root)?;
        }
        let took = self.run("apply")?;
        self.run("release")?;
        Ok(took)
    }

    fn later(&self) -> Result<Duration> {
        let took = self.run("apply")?;
        self.run("release")?;
        Ok(took)
    }
}

pub(super) fn run(tool: &Path, directory: &Path, rounds: usize) -> Result<()> {
    let none = Case { tool: tool.to_owned(), seed: None, root: directory.join("root-0") };
    let mut cases = Vec::new();
    for (layers, _) in COUNTS {
        cases.push(Case::make(tool, directory, layers)?);
    }
    let mut tasks = vec![
        Task::new("no seed, first apply", || none.first()),
        Task::new("no seed, later apply", || none.later()),
    ];
    for ((_, [first, later]), case) in COUNTS.iter().zip(&cases) {
        tasks.extend([Task::new(first, || case.first()), Task::new(later, || case.later())]);
    }
    let series = in_turns(rounds, &mut tasks)?;
    let ([first, later], measured) = series.split_first_chunk::<2>().ok_or("a series is missing")?;
    let mut rows = vec![Row::against(first, first), Row::against(later, later)];
    for ((layers, _), pair) in COUNTS.iter().zip(measured.chunks_exact(2)) {
        let allowed = GOAL * *layers as f64;
        let against = |series: &Series, base: &Series| Row::at_most_later(series, base, allowed);
        rows.extend([against(&pair[0], first), against(&pair[1], later)]);
    }
    print("dind-storage apply with a seed", "the same without a seed", &rows);
    Ok(())
}
