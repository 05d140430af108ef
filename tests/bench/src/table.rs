//! The table that a subject prints: a row for each series, with what it is compared to and what was hoped for.

use crate::series::Series;

/// One line of the table: what it is compared with, and what was hoped for.
pub(crate) struct Row {
    series: Series,
    ratio: String,
    goal: Option<(String, bool)>,
}

impl Row {
    /// Compared with another series of the same run.
    pub(crate) fn against(series: &Series, reference: &Series) -> Self {
        let ratio = format!("{:.2}", series.median() / reference.median());
        Self { series: series.clone(), ratio, goal: None }
    }

    /// With a goal for its median, in milliseconds.
    pub(crate) fn at_most(mut self, milliseconds: f64) -> Self {
        let reached = self.series.median() <= milliseconds;
        self.goal = Some((format!("<= {milliseconds} ms"), reached));
        self
    }

    /// Compared, with a goal for how much longer than the reference it takes, in milliseconds.
    pub(crate) fn at_most_later(series: &Series, reference: &Series, milliseconds: f64) -> Self {
        let later = series.median() - reference.median();
        let goal = Some((format!("<= {} + {milliseconds} ms", reference.name), later <= milliseconds));
        Self { series: series.clone(), ratio: format!("{later:+.1} ms"), goal }
    }

    /// Compared, with a goal for its median as a part of the reference's.
    pub(crate) fn within(series: &Series, reference: &Series, part: f64) -> Self {
        let ratio = series.median() / reference.median();
        let goal = Some((format!("<= {part:.2} x {}", reference.name), ratio <= part));
        Self { series: series.clone(), ratio: format!("{ratio:.2}"), goal }
    }

    /// With a goal for its speed, as a part of the reference's.
    pub(crate) fn at_least_as_fast(series: &Series, reference: &Series, part: f64) -> Self {
        let speed = series.speed_of(reference);
        let goal = Some((format!("speed >= {part}"), speed >= part));
        Self { series: series.clone(), ratio: format!("speed {speed:.2}"), goal }
    }
}

pub(crate) fn print(title: &str, reference: &str, rows: &[Row]) {
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
