//! `bench --chart`: pictures of a real run, each with the figures that it is drawn from. `--draw` draws them again.
//!
//! * `start`, `log`: the start, step by step; the stop and the seeds are those of `lifecycle` and `seeds`
//! * `figures`: what is kept of a run; `draw`: the pictures, from that alone

mod draw;
mod figures;
mod log;
mod start;

use crate::lifecycle::{on_site, stop_times};
use crate::seeds;
use clap::ValueEnum;
use dind_lab::{Result, Workspace, progress};
use figures::{About, Figures, Seed, Stop, read, write};
use std::fs;
use std::path::{Path, PathBuf};

/// A picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Chart {
    /// The start as a time line, beside bare dockerd and the steps of docker:dind's entrypoint.
    Start,
    /// The stop over the number of inner containers.
    Stop,
    /// Images from a seed against images that are loaded.
    Seed,
}

impl Chart {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Seed => "seed",
        }
    }

    fn file(self, directory: &Path, extension: &str) -> PathBuf {
        directory.join(format!("{}.{extension}", self.name()))
    }

    /// Measures it, and keeps the figures.
    fn measure(self, workspace: &Workspace, file: &Path, rounds: usize) -> Result<()> {
        progress::heading(&format!("measure for the chart `{}`", self.name()));
        let about = About::here(String::new(), rounds)?;
        on_site(workspace, rounds, |site, binaries| match self {
            Self::Start => {
                let (figures, engine) = start::measure(site, rounds)?;
                write(file, &Figures { about: About { engine, ..about }, figures })
            }
            Self::Stop => {
                let (counts, [bare_ms, node_ms], engine) = stop_times(site, rounds)?;
                let figures = Stop { counts, bare_ms, node_ms };
                write(file, &Figures { about: About { engine, ..about }, figures })
            }
            Self::Seed => {
                let times = seeds::times(workspace, site, binaries, rounds)?;
                let figures = Seed {
                    images: times.images,
                    empty_ms: times.empty_ms,
                    seeded_ms: times.seeded_ms,
                    again_ms: times.again_ms,
                    load_ms: times.load_ms,
                };
                write(file, &Figures { about: About { engine: times.engine, ..about }, figures })
            }
        })
    }

    /// Its picture, from its figures.
    fn draw(self, file: &Path) -> Result<String> {
        Ok(match self {
            Self::Start => draw::start(&read(file)?),
            Self::Stop => draw::stop(&read(file)?),
            Self::Seed => draw::seed(&read(file)?),
        })
    }
}

/// Measures for these charts, all where none is named, unless they are only to be drawn; and draws them.
pub fn run(workspace: &Workspace, charts: &[Chart], rounds: usize, only_draw: bool) -> Result<()> {
    let directory = workspace.root.join("tests/bench/charts");
    fs::create_dir_all(&directory)?;
    for chart in if charts.is_empty() { Chart::value_variants() } else { charts } {
        let figures = chart.file(&directory, "json");
        if !only_draw {
            chart.measure(workspace, &figures, rounds)?;
        }
        let picture = chart.file(&directory, "svg");
        fs::write(&picture, chart.draw(&figures)?)?;
        println!("{}", picture.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_are_those_of_the_figures_beside_them() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts");
        for chart in Chart::value_variants() {
            let drawn = chart.draw(&chart.file(&directory, "json")).unwrap();
            let kept = fs::read_to_string(chart.file(&directory, "svg")).unwrap();
            assert!(drawn == kept, "{}: cargo xtask bench --draw", chart.name());
        }
    }
}
