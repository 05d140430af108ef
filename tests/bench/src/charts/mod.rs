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
            let [figures, picture] = ["json", "svg"].map(|extension| chart.file(&directory, extension));
            // Before the first run there is neither.
            assert_eq!(figures.exists(), picture.exists(), "{}", chart.name());
            if figures.exists() {
                let kept = fs::read_to_string(&picture).unwrap();
                assert!(chart.draw(&figures).unwrap() == kept, "{}: cargo xtask bench --draw", chart.name());
            }
        }
    }

    /// Figures that nobody has measured, through the file and back.
    #[test]
    fn each_chart_says_what_was_measured_when_and_where() {
        let about = About {
            date: "2026-12-01".to_owned(),
            processor: "AMD <EPYC>".to_owned(),
            processors: 2,
            memory_gib: 24,
            kernel: "6.18".to_owned(),
            cgroup: 1,
            engine: "20.10".to_owned(),
            dind: "0.1.0".to_owned(),
            rounds: 3,
            load: 0.25,
        };
        let step = figures::Step { name: "check".to_owned(), from_ms: 1.0, to_ms: 61.0 };
        let run = figures::Run { name: "dind".to_owned(), took_ms: 413.2, steps: vec![step] };
        let start = figures::Start { runs: vec![run] };
        let stop =
            Stop { counts: vec![0, 100], bare_ms: vec![1090.0, 10_050.0], node_ms: vec![100.0, 6000.0] };
        let seed = Seed { images: 20, empty_ms: 400.0, seeded_ms: 430.0, again_ms: 410.0, load_ms: 61_000.0 };
        let directory = tempfile::tempdir().unwrap();
        let file = |chart: Chart| chart.file(directory.path(), "json");
        write(&file(Chart::Start), &Figures { about: about.clone(), figures: start }).unwrap();
        write(&file(Chart::Stop), &Figures { about: about.clone(), figures: stop }).unwrap();
        write(&file(Chart::Seed), &Figures { about, figures: seed }).unwrap();
        for (chart, own) in
            [(Chart::Start, "413 ms"), (Chart::Stop, "inner containers"), (Chart::Seed, "61.40 s")]
        {
            let picture = chart.draw(&file(chart)).unwrap();
            let document = roxmltree::Document::parse(&picture).unwrap();
            let texts: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
            let text = texts.join(" ");
            for expected in [
                own,
                "2026-12-01",
                "2 x AMD <EPYC>",
                "Linux 6.18",
                "20.10",
                "Rounds: 3",
                "cargo xtask bench --chart",
            ] {
                assert!(text.contains(expected), "{}: no {expected} in {text}", chart.name());
            }
        }
    }
}
