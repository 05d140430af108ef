//! What an apply costs, by the number of the seed's layers: the first, which brings the metadata, and each later one.
//!
//! The data roots lie on a new file system, and none is removed: where much was deleted within the last minutes, ext4 looks at each
//! inode that was free for too short a time (`recently_deleted` in fs/ext4/ialloc.c), which costs five times as much as all else.

use crate::series::{Series, Task, in_turns, timed};
use crate::table::{Row, print};
use dind_lab::Result;
use dind_tests::store::DataRoot;
use nix::mount::umount;
use std::cell::Cell;
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

/// Where the data roots lie.
const ROOTS: &str = "roots";

/// A seed, and the data roots that get it.
struct Case {
    tool: PathBuf,
    seed: Option<PathBuf>,
    /// Has a data root for each round.
    roots: PathBuf,
    round: Cell<usize>,
}

impl Case {
    /// A seed with so many layers, in images of a depth that the engine takes.
    fn make(tool: &Path, directory: &Path, layers: usize) -> Result<Self> {
        let path = |what: &str| directory.join(format!("{what}-{layers}"));
        let (source, seed) = (path("source"), path("seed"));
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
        Ok(Self::new(tool, Some(seed), directory.join(ROOTS).join(layers.to_string())))
    }

    fn new(tool: &Path, seed: Option<PathBuf>, roots: PathBuf) -> Self {
        Self { tool: tool.to_owned(), seed, roots, round: Cell::new(0) }
    }

    fn run(&self, verb: &str) -> Result<Duration> {
        let mut command = Command::new(&self.tool);
        command.arg(verb).env_clear().env("DIND_DATA_ROOT", self.roots.join(self.round.get().to_string()));
        if let Some(seed) = &self.seed {
            command.env("DIND_STORAGE_SEED", seed);
        }
        timed(&mut command)
    }

    fn first(&self) -> Result<Duration> {
        self.round.set(self.round.get() + 1);
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
    let (image, roots) = (directory.join("image"), directory.join(ROOTS));
    fs::create_dir_all(&roots)?;
    let script = "truncate --size=8G \"$1\" && mkfs.ext4 -q \"$1\" && mount -o loop \"$1\" \"$2\"";
    timed(Command::new("sh").args(["-c", script, "sh"]).arg(&image).arg(&roots))?;
    let measured = measure(tool, directory, rounds);
    umount(&roots)?;
    measured
}

fn measure(tool: &Path, directory: &Path, rounds: usize) -> Result<()> {
    let none = Case::new(tool, None, directory.join(ROOTS).join("none"));
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
