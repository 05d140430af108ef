//! Tasks that take turns, and the times that were measured of each.

use dind_lab::{Result, progress};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One thing that is done again and again.
pub(crate) struct Task<'a> {
    name: &'static str,
    /// Does it once, and gives the time of the part that counts.
    run: Box<dyn FnMut() -> Result<Duration> + 'a>,
}

impl<'a> Task<'a> {
    pub(crate) fn new(name: &'static str, run: impl FnMut() -> Result<Duration> + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// What was measured of a task, in milliseconds, from the shortest to the longest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) sorted: Vec<f64>,
}

impl Series {
    pub(crate) fn new(name: &'static str, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self { name, sorted: samples }
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        match self.sorted.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => f64::midpoint(self.sorted[middle - 1], self.sorted[middle]),
            _ => self.sorted[middle],
        }
    }

    /// How often `self` fits into `other`: 2 is twice as fast.
    pub(crate) fn speed_of(&self, other: &Self) -> f64 {
        other.median() / self.median()
    }
}

/// Each task once, then each again: what disturbs the machine for a while disturbs all of them alike.
/// The first round only warms up.
pub(crate) fn in_turns(rounds: usize, tasks: &mut [Task<'_>]) -> Result<Vec<Series>> {
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

/// Runs what must succeed, quietly.
pub(crate) fn timed(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output()?;
    let took = start.elapsed();
    if output.status.success() {
        return Ok(took);
    }
    let program = Path::new(command.get_program()).display();
    Err(format!("`{program}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
        .into())
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
