//! `bench`: figures that hold on any machine. Everything that is compared is measured in turns, in one run.

mod lifecycle;
mod mesos;
mod net;
mod storage;

use crate::workspace::Workspace;
use crate::{Result, binaries, progress, setup};
use clap::ValueEnum;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// Loop images: made, mounted, found as they shall be, written to.
    Storage,
    /// The network: bridged, planned, and found as it shall be.
    Net,
    /// Start and stop of a node against bare dockerd, in the image; and what the node costs.
    Lifecycle,
    /// A Mesos agent: from `docker run` to registered, and to its first task.
    Mesos,
}

/// Measures, and prints a table.
pub(crate) fn run(workspace: &Workspace, subjects: &[Subject], rounds: usize) -> Result<()> {
    let all = Subject::value_variants();
    for subject in if subjects.is_empty() { all } else { subjects } {
        match subject {
            Subject::Storage => storage::run(workspace, rounds)?,
            Subject::Net => net::run(workspace, rounds)?,
            Subject::Lifecycle => lifecycle::run(workspace, rounds)?,
            Subject::Mesos => mesos::run(workspace, rounds)?,
        }
    }
    Ok(())
}

/// Measures a tool, freshly built, with a folder that is gone afterwards.
fn in_folder(
    workspace: &Workspace,
    tool: &str,
    rounds: usize,
    measure: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, setup::TESTS])?;
    let program = binaries::build(workspace)?.join(tool);
    let folder = workspace.target.join("bench").join(tool);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    progress::heading(&format!("measure {tool}, {rounds} rounds"));
    let measured = measure(&program, &folder);
    let removed = fs::remove_dir_all(&folder);
    measured?;
    Ok(removed?)
}

/// One thing that is done again and again.
struct Task<'a> {
    name: &'static str,
    /// Does it once, and gives the time of the part that counts.
    run: Box<dyn FnMut() -> Result<Duration> + 'a>,
}

impl<'a> Task<'a> {
    fn new(name: &'static str, run: impl FnMut() -> Result<Duration> + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// What was measured of a task, in milliseconds, from the shortest to the longest.
#[derive(Clone, Debug, PartialEq)]
struct Series {
    name: &'static str,
    sorted: Vec<f64>,
}

impl Series {
    fn new(name: &'static str, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self { name, sorted: samples }
    }

    fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        match self.sorted.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => f64::midpoint(self.sorted[middle - 1], self.sorted[middle]),
            _ => self.sorted[middle],
        }
    }

    /// How often `self` fits into `other`: 2 is twice as fast.
    fn speed_of(&self, other: &Self) -> f64 {
        other.median() / self.median()
    }
}

/// Each task once, then each again: what disturbs the machine for a while disturbs all of them alike.
/// The first round only warms up.
fn in_turns(rounds: usize, tasks: &mut [Task<'_>]) -> Result<Vec<Series>> {
    let mut samples = vec![Vec::with_capacity(rounds); tasks.len()];
    for round in 0..=rounds {
        progress::note(&format!("round {round} of {rounds}"));
        for (task, samples) in tasks.iter_mut().zip(&mut samples) {
            let took = (task.run)()?;
            if round > 0 {
                samples.push(took.as_secs_f64() * 1e3);
            }
        }
    }
    Ok(tasks.iter().zip(samples).map(|(task, samples)| Series::new(task.name, samples)).collect())
}

/// One line of the table: what it is compared with, and what was hoped for.
struct Row {
    series: Series,
    ratio: String,
    goal: Option<(String, bool)>,
}

impl Row {
    /// Compared with another series of the same run.
    fn against(series: &Series, reference: &Series) -> Self {
        let ratio = format!("{:.2}", series.median() / reference.median());
        Self { series: series.clone(), ratio, goal: None }
    }

    /// With a goal for its median, in milliseconds.
    fn at_most(mut self, milliseconds: f64) -> Self {
        let reached = self.series.median() <= milliseconds;
        self.goal = Some((format!("<= {milliseconds} ms"), reached));
        self
    }

    /// Compared, with a goal for its median as a part of the reference's.
    fn within(series: &Series, reference: &Series, part: f64) -> Self {
        let ratio = series.median() / reference.median();
        let goal = Some((format!("<= {part:.2} x {}", reference.name), ratio <= part));
        Self { series: series.clone(), ratio: format!("{ratio:.2}"), goal }
    }

    /// With a goal for its speed, as a part of the reference's.
    fn at_least_as_fast(series: &Series, reference: &Series, part: f64) -> Self {
        let speed = series.speed_of(reference);
        let goal = Some((format!("speed >= {part}"), speed >= part));
        Self { series: series.clone(), ratio: format!("speed {speed:.2}"), goal }
    }
}

fn print(title: &str, reference: &str, rows: &[Row]) {
    println!("{title} (ratios against: {reference})");
    println!("{:46} {:>9} {:>17} {:>11}  goal", "", "median ms", "min-max", "ratio");
    for Row { series, ratio, goal } in rows {
        let range = match series.sorted.as_slice() {
            [first, .., last] => format!("{first:.1}-{last:.1}"),
            _ => String::new(),
        };
        let goal = goal.as_ref().map_or_else(String::new, |(goal, reached)| {
            format!("{goal}: {}", if *reached { "reached" } else { "MISSED" })
        });
        println!("{:46} {:9.1} {range:>17} {ratio:>11}  {goal}", series.name, series.median());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_speeds() {
        let odd = Series::new("odd", vec![30.0, 10.0, 20.0]);
        let even = Series::new("even", vec![40.0, 10.0, 60.0, 20.0]);
        assert_eq!((odd.median(), even.median()), (20.0, 30.0));
        assert_eq!(odd.speed_of(&even), 1.5);
    }

    #[test]
    fn tasks_take_turns_and_the_first_round_does_not_count() {
        let order = std::cell::RefCell::new(String::new());
        let task = |name: &'static str| {
            let order = &order;
            Task::new(name, move || {
                order.borrow_mut().push_str(name);
                Ok(Duration::from_millis(1))
            })
        };
        let series = in_turns(2, &mut [task("a"), task("b")]).unwrap();
        assert_eq!(order.take(), "ababab");
        assert_eq!(series.iter().map(|series| series.sorted.len()).collect::<Vec<_>>(), [2, 2]);
    }
}
