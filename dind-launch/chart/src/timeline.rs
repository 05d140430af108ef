//! What happened when: a lane for each thing, with a bar for each time that it was under way.

use crate::picture::{LETTER, LINE, MARGIN, Picture, WIDTH, colour, cut};
use crate::scale::{Scale, number};

/// Height of a bar.
const BAR: f64 = 13.0;

/// The narrowest bar that can be seen.
const NARROWEST: f64 = 1.5;

/// Letters of a lane's name, and of its note.
const NAME: usize = 34;
const NOTE: usize = 30;

/// Between names, bars and notes.
const GAP: f64 = 14.0;

/// Steps of the scale, at most.
const STEPS: u32 = 8;

/// From here on times are written in seconds.
const SECONDS: f64 = 10_000.0;

/// A time line. All times are in milliseconds since the same moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// What it shows.
    pub title: String,
    /// Where and when.
    pub subtitle: String,
    /// From the top to the bottom.
    pub lanes: Vec<Lane>,
    /// Lines below it: how it was measured.
    pub foot: Vec<String>,
}

/// One thing. Without bars it is a heading for those below.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// How far its name is moved in, as part of the one above.
    pub depth: usize,
    /// When it was under way.
    pub bars: Vec<Bar>,
    /// What stands at its right, such as how long it took.
    pub note: String,
}

/// A time in which something was under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// When it began.
    pub from: f64,
    /// When it ended; nothing while it lasts.
    pub to: Option<f64>,
    /// Whether it went on beyond what is shown: such a bar is pale.
    pub goes_on: bool,
    /// Which colour it has.
    pub colour: usize,
    /// What a pointer on it shows, beside the times.
    pub tip: String,
}

impl Timeline {
    /// The picture.
    #[must_use]
    pub fn draw(&self) -> String {
        let mut picture = Picture::new(&self.title, &self.subtitle);
        let all = || self.lanes.iter().flat_map(|lane| &lane.bars);
        let most = all().map(|bar| bar.to.unwrap_or(bar.from)).fold(1.0, f64::max);
        let scale = Scale::to(most, STEPS);
        let widest =
            |text: fn(&Lane) -> usize, most| self.lanes.iter().map(text).max().unwrap_or(0).min(most);
        let names = widest(|lane| lane.name.chars().count() + 2 * lane.depth, NAME) as f64 * LETTER;
        let notes = widest(|lane| lane.note.chars().count(), NOTE) as f64 * LETTER;
        let (left, right) = (MARGIN + names + GAP, WIDTH - MARGIN - notes - GAP);
        let x = |at: f64| left + (right - left) * (at / scale.end).clamp(0.0, 1.0);

        let (top, bottom) = (picture.y + 6.0, picture.y + 6.0 + self.lanes.len() as f64 * LINE + 4.0);
        let (unit, name) = if scale.end >= SECONDS { (1000.0, "s") } else { (1.0, "ms") };
        for at in scale.ticks() {
            picture.line((x(at), top - 4.0), (x(at), bottom), "grid");
            picture.text(x(at), top - 9.0, "faint middle", &number(at / unit));
        }
        picture.text(right + GAP, top - 9.0, "faint", name);
        picture.y = top;
        for lane in &self.lanes {
            let base = picture.y + BAR;
            let class = if lane.bars.is_empty() { "text strong" } else { "text" };
            let indent = 2 * lane.depth;
            let shown = cut(&lane.name, NAME.saturating_sub(indent));
            picture.text(MARGIN + indent as f64 * LETTER, base - 1.0, class, &shown);
            for bar in &lane.bars {
                bar.draw(&mut picture, x, scale.end);
            }
            picture.text(right + GAP, base - 1.0, "text", &cut(&lane.note, NOTE));
            picture.y += LINE;
        }
        picture.y = bottom + LINE;
        picture.finish(&self.title, &self.foot)
    }
}

impl Bar {
    /// One that lasts reaches to the end, and is pale.
    fn draw(&self, picture: &mut Picture, x: impl Fn(f64) -> f64, end: f64) {
        let (from, to) = (x(self.from), x(self.to.unwrap_or(end)));
        let open = if self.to.is_none() || self.goes_on { " open" } else { "" };
        let class = format!("bar {}{open}", colour(self.colour));
        let until = self.to.map_or("…".to_owned(), number);
        let tip = format!("{}: {} to {until} ms", self.tip, number(self.from));
        let width = (to - from).max(NARROWEST);
        picture.rectangle([from, picture.y + 1.0, width, BAR], &class, &tip);
    }
}
