//! What a seed costs a node by its number of layers: at the first start, which brings the images in, and at each later one.

use crate::series::{Series, Task, in_turns, timed};
use crate::table::{Row, print};
use dind_lab::Result;
use dind_tests::store::DataRoot;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How many layers are compared. An image has at most 127 (moby, `layer/layer.go`), so the largest seed has several images.
const LAYERS: [usize; 3] = [10, 100, 500];

/// How many layers of a seed are one upon the other: what an image usually has.
const IN_AN_IMAGE: usize = 10;

/// What a layer may cost, in milliseconds.
const A_LAYER: f64 = 0.1;

/// Measures and prints.
pub(crate) fn run(tool: &Path, directory: &Path, rounds: usize) -> Result<()> {
    let directory = directory.join("seeds");
    let sites: Vec<Site<'_>> =
        LAYERS.iter().map(|&layers| Site::make(tool, &directory, layers)).collect::<Result<_>>()?;
    let none = Site { tool, root: directory.join("root-0"), seed: None };
    let mut tasks = vec![
        Task::new("apply without a seed", || none.first()),
        Task::new("the same, a later start", || none.later()),
    ];
    let names = [
        ["seed of 10 layers, first start", "later start"],
        ["seed of 100 layers, first start", "later start"],
        ["seed of 500 layers, first start", "later start"],
    ];
    for (site, [first, later]) in sites.iter().zip(names) {
        tasks.push(Task::new(first, || site.first()));
        tasks.push(Task::new(later, || site.later()));
    }
    let series = in_turns(rounds, &mut tasks)?;
    let [first, later, seeded @ ..] = series.as_slice() else { return Err("a series is missing".into()) };
    let mut rows = vec![Row::against(first, first), Row::against(later, first)];
    for (layers, pair) in LAYERS.iter().zip(seeded.chunks(2)) {
        for (series, without) in pair.iter().zip([first, later]) {
            rows.push(Row::against(series, first).at_most(goal(without, *layers)));
        }
    }
    print("seeds by number of layers", first.name, &rows);
    Ok(())
}

/// As long as without a seed, and what the layers may cost.
fn goal(without: &Series, layers: usize) -> f64 {
    ((without.median() + layers as f64 * A_LAYER) * 10.0).round() / 10.0
}

/// A seed, and a data root that gets it.
struct Site<'a> {
    tool: &'a Path,
    root: PathBuf,
    seed: Option<PathBuf>,
}

impl<'a> Site<'a> {
    fn make(tool: &'a Path, directory: &Path, layers: usize) -> Result<Self> {
        let made = DataRoot::new(&directory.join(format!("made-{layers}")), "made");
        for image in 0..layers / IN_AN_IMAGE {
            let mut top = None;
            for layer in 0..IN_AN_IMAGE {
                let name = format!("{image}-{layer}");
                let file = |diff: &Path| drop(fs::write(diff.join(&name), &name));
                top = Some(made.layer(top.as_ref(), &name, file));
            }
            made.image(&[&format!("image:{image}")], top.as_ref());
        }
        let seed = directory.join(format!("seed-{layers}"));
        let mut seal = Command::new(tool);
        seal.env_clear().args(["seal", "--data-root"]).arg(&made.path).arg("--to").arg(&seed);
        timed(&mut seal)?;
        Ok(Self { tool, root: directory.join(format!("root-{layers}")), seed: Some(seed) })
    }

    /// Time of a run of `dind-storage`, from fork to exit.
    fn storage(&self, verb: &str) -> Result<Duration> {
        let mut command = Command::new(self.tool);
        command.arg(verb).env_clear().env("DIND_DATA_ROOT", &self.root);
        if let Some(seed) = &self.seed {
            command.env("DIND_STORAGE_SEED", seed);
        }
        timed(&mut command)
    }

    /// An apply to an empty data root.
    fn first(&self) -> Result<Duration> {
        if self.root.exists() {
            fs::remove_dir_all(&self.root)?;
        }
        let took = self.storage("apply")?;
        self.storage("release")?;
        Ok(took)
    }

    /// An apply to the data root as the one before has left it.
    fn later(&self) -> Result<Duration> {
        let took = self.storage("apply")?;
        self.storage("release")?;
        Ok(took)
    }
}
