//! One quantity over another: a line for each series.

use crate::picture::{LETTER, LINE, MARGIN, Picture, WIDTH, colour};
use crate::scale::{Scale, number};

/// Height of the axes.
const HEIGHT: f64 = 300.0;

/// Room for the numbers of the upright axis.
const NUMBERS: f64 = 50.0;

/// Steps of an axis, at most.
const STEPS: u32 = 8;

/// Lines over an axis. Both axes begin at zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// What it shows.
    pub title: String,
    /// Where and when.
    pub subtitle: String,
    /// What the level axis counts.
    pub x: String,
    /// What the upright axis counts.
    pub y: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Heights that mean something, each with what.
    pub marks: Vec<(f64, String)>,
    /// Lines below it: how it was measured.
    pub foot: Vec<String>,
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Its points, from the left to the right.
    pub points: Vec<(f64, f64)>,
}

impl Lines {
    /// The picture.
    #[must_use]
    pub fn draw(&self) -> String {
        let mut picture = Picture::new(&self.title, &self.subtitle);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let across = Scale::to(points().map(|point| point.0).fold(0.0, f64::max), STEPS);
        let marks = self.marks.iter().map(|mark| mark.0);
        let upright = Scale::to(points().map(|point| point.1).chain(marks).fold(0.0, f64::max), STEPS);
        self.legend(&mut picture);
        let (left, right) = (MARGIN + NUMBERS, WIDTH - MARGIN - 10.0);
        let (top, bottom) = (picture.y + LINE, picture.y + LINE + HEIGHT);
        let x = |value: f64| left + (right - left) * value / across.end;
        let y = |value: f64| bottom - (bottom - top) * value / upright.end;

        picture.text(MARGIN, picture.y, "faint", &self.y);
        for value in upright.ticks() {
            picture.line((left, y(value)), (right, y(value)), "grid");
            picture.text(left - 8.0, y(value) + 4.0, "faint end", &number(value));
        }
        for value in across.ticks() {
            picture.line((x(value), bottom), (x(value), bottom + 5.0), "grid");
            picture.text(x(value), bottom + LINE, "faint middle", &number(value));
        }
        picture.text(f64::midpoint(left, right), bottom + 2.0 * LINE, "faint middle", &self.x);
        for (value, meaning) in &self.marks {
            picture.line((left, y(*value)), (right, y(*value)), "mark");
            picture.text(left + 8.0, y(*value) - 6.0, "faint", meaning);
        }
        for (index, series) in self.series.iter().enumerate() {
            let at: Vec<_> = series.points.iter().map(|point| (x(point.0), y(point.1))).collect();
            if at.len() > 1 {
                picture.path(&at, &format!("{} line", colour(index)));
            }
            for (place, point) in at.iter().zip(&series.points) {
                let tip = format!("{}: {} at {}", series.name, number(point.1), number(point.0));
                picture.dot(*place, &colour(index), &tip);
            }
        }
        picture.y = bottom + 3.0 * LINE + 8.0;
        picture.finish(&self.title, &self.foot)
    }

    fn legend(&self, picture: &mut Picture) {
        let mut x = MARGIN;
        for (index, series) in self.series.iter().enumerate() {
            picture.rectangle(
                [x, picture.y - 10.0, 12.0, 12.0],
                &format!("bar {}", colour(index)),
                &series.name,
            );
            picture.text(x + 18.0, picture.y, "text", &series.name);
            x += 18.0 + (series.name.chars().count() as f64 + 3.0) * LETTER;
        }
        picture.y += LINE + 6.0;
    }
}
